"""Engine instructions of the compiled loop: checked as captured at dispatch, scheduled, and what they do to memory."""

from __future__ import annotations

from typing import Any

from isa.spec import TD_OPERANDS
from simulator.fast.compiled import compiled, inlined
from simulator.fast.derive import derive
from simulator.fast.effects import copy, invent
from simulator.fast.execution import execute
from simulator.fast.layout import ADDRESS_BITS, Block, ByPc, Core, Effect, Exit, Form, Ints, Operand, Pair, Td
from simulator.fast.lookup import find_cost, find_form
from simulator.fast.price import describe_operands, price
from simulator.fast.replay import reach_obstacle
from simulator.fast.schedule import schedule

MAX_OPERANDS = len(TD_OPERANDS)
LEARN, FAULT = int(Exit.LEARN), int(Exit.FAULT)
CUT = -1


@compiled
def issue(s: Block, values: Ints, by_pc: Ints, i: Any, pc: int) -> int:
    """Executes an engine instruction. Returns 0, CUT if a trace may begin behind it, HOST, or the Exit because of which nothing was
    done.
    """
    known = by_pc[pc, ByPc.FORM]
    found = find_form(s, known, pc, i)
    if found == 0 and known > 0:
        found = derive(s, known - 1, pc, i)
    s.core[Core.FORM] = found
    if found == 0:
        return LEARN
    by_pc[pc, ByPc.FORM] = found
    form = found - 1
    if not fits(s, form):
        return FAULT
    cost = find_cost(s, form)
    if cost == 0:
        describe_operands(s, form)
        cost = price(s, form)
    if cost == 0 or s.forms[form, Form.EFFECT] == Effect.UNKNOWN:
        return LEARN
    effect = s.forms[form, Form.EFFECT]
    if Effect.NONE < effect < Effect.KERNEL:
        reach_obstacle(s, pc)
    code = schedule(s, form, cost - 1)
    if code != 0:
        return code
    if effect >= Effect.KERNEL:
        return execute(s, form, values, by_pc, i, pc)
    if effect == Effect.NONE:
        return 0
    s.core[Core.EPOCH] += 1
    if effect == Effect.INVENT:
        invent(s, form, values[i.rs])
    else:
        copy(s, form, effect == Effect.CLEAR)
    return CUT


@inlined
def fits(s: Block, form: int) -> bool:
    """The checks that depend on bases: alignment, bounds, overlap. Notes where the operands are; those the interlock does not
    look at are empty.
    """
    forms = s.forms
    for number in range(forms[form, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        base, region = s.tds[forms[form, at + Operand.REGISTER], Td.BASE], forms[form, at + Operand.REGION]
        low, high = base + forms[form, at + Operand.LOW], base + forms[form, at + Operand.HIGH]
        if base & forms[form, at + Operand.ALIGNMENT] != 0 or low < 0 or high > s.memories[region, 1]:
            return False
        granule = forms[form, at + Operand.GRANULE]
        s.lows[number] = low & -granule | region << ADDRESS_BITS
        s.highs[number] = high + granule - 1 & -granule | region << ADDRESS_BITS
    for number in range(forms[form, Form.OPERANDS], MAX_OPERANDS):
        s.lows[number] = s.highs[number] = 0
    for number in range(forms[form, Form.PAIRS]):
        at = Form.PAIR + number * Pair.LENGTH
        one = Form.OPERAND + forms[form, at + Pair.DESTINATION] * Operand.LENGTH
        two = Form.OPERAND + forms[form, at + Pair.SOURCE] * Operand.LENGTH
        if not apart(s, form, one, two, forms[form, at + Pair.MAY_EQUAL]):
            return False
    return True


@inlined
def apart(s: Block, form: int, one: int, two: int, may_equal: int) -> bool:
    """Whether two operands lie in different bytes, or are the same if they may."""
    forms = s.forms
    base_one = s.tds[forms[form, one + Operand.REGISTER], Td.BASE]
    base_two = s.tds[forms[form, two + Operand.REGISTER], Td.BASE]
    return (
        (may_equal != 0 and base_one == base_two)
        or base_one + forms[form, one + Operand.HIGH] <= base_two + forms[form, two + Operand.LOW]
        or base_two + forms[form, two + Operand.HIGH] <= base_one + forms[form, one + Operand.LOW]
    )
