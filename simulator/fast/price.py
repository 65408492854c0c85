"""The price of a form: a row of `costs`, found among those the form has, or made."""

from __future__ import annotations

from simulator.fast.compiled import compiled
from simulator.fast.layout import MAX_COST_CYCLES, MAX_COSTS, MAX_PLACES, Block, Core, Cost, Form, Ints, Operand, Td
from simulator.fast.lookup import cost_key, enter_cost
from simulator.fast.price_access import describe
from simulator.fast.price_dram import price_copy
from simulator.fast.price_layout import Rule
from simulator.fast.price_product import price_product
from simulator.fast.price_units import price_vector

FIRST_NUMBER, FIRST_ACTION = int(Cost.CYCLES), int(Cost.ACTIONS)


@compiled
def describe_operands(s: Block, form: int) -> None:
    """The shapes of the operands as they are."""
    for number in range(s.forms[form, Form.OPERANDS]):
        describe(s, number, s.forms[form, Form.OPERAND + number * Operand.LENGTH + Operand.REGISTER])


@compiled
def price(s: Block, form: int) -> int:
    """The row and one of the cost of a form with its operands as they are in `shapes`, and the DRAM operand where it lies; 0 if
    the host has to work it out.
    """
    core, rule = s.core, s.forms[form, Form.RULE]
    row = core[Core.COSTS]
    if rule == Rule.NONE or row == MAX_COSTS or core[Core.PLACES] == MAX_PLACES:
        return 0
    cost = s.costs[row]
    for column in range(Cost.LENGTH):
        cost[column] = 0
    cost[Cost.FORM] = form
    if rule <= Rule.STORE:
        base = s.tds[s.forms[form, Form.DRAM], Td.BASE]
        if not price_copy(s, cost, base, 1 if rule == Rule.STORE else 0) or cost[Cost.CYCLES] > MAX_COST_CYCLES:
            return 0
        name = noted(s, form, cost)
        enter_cost(s, cost_key(s, form, base), name - 1)
        core[Core.PLACES] += 1
        return name
    is_product = rule <= Rule.SCALED
    latency = price_product(s, form, cost, rule == Rule.SCALED) if is_product else price_vector(s, form, cost)
    if latency < 0 or cost[Cost.CYCLES] > MAX_COST_CYCLES:
        return 0
    s.forms[form, Form.LATENCY] = latency
    s.forms[form, Form.COST] = noted(s, form, cost)
    return s.forms[form, Form.COST]


@compiled
def noted(s: Block, form: int, cost: Ints) -> int:
    """The row and one of a cost in the row behind those in use, or of one that is alike."""
    name, costs = s.forms[form, Form.NEWEST], s.costs
    while name > 0 and not is_alike(costs[name - 1], cost):
        name = costs[name - 1, Cost.OLDER]
    if name == 0:
        cost[Cost.OLDER] = s.forms[form, Form.NEWEST]
        s.core[Core.COSTS] += 1
        name = s.forms[form, Form.NEWEST] = s.core[Core.COSTS]
    return name


@compiled
def is_alike(one: Ints, two: Ints) -> bool:
    """Whether two costs of a form are the same, however often they were paid."""
    column = FIRST_NUMBER
    while column < Cost.LENGTH and one[column] == two[column]:
        column = column + 1 if column + 1 != Cost.NEW else FIRST_ACTION
    return column == Cost.LENGTH
