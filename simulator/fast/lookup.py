"""What is known about an engine instruction: rows of `forms` and `costs`, found by hash of the shapes of its operands."""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_SHAPES, Block, Core, Cost, Form, Ints, Td

FIRST_FACTOR, SECOND_FACTOR = 0x2545F4914F6CDD1D, 0x369DEA0F31A53F85
LOW_32 = 0xFFFFFFFF


@inlined
def mixed(state: int, word: int) -> int:
    """One more word of a hash."""
    state = (state ^ word) * FIRST_FACTOR
    return (state ^ state >> 29) * SECOND_FACTOR


@compiled
def shape_of(s: Block, td: int) -> int:
    """The row and one of `shapes` with everything of a descriptor but its base; 0 if the table is full."""
    tds, shapes, table = s.tds, s.shapes, s.shape_table
    if tds[td, Td.SHAPE] > 0:
        return tds[td, Td.SHAPE]
    extents = tds[td, Td.E0] | tds[td, Td.E0 + 1] << 20 | tds[td, Td.E0 + 2] << 40 | tds[td, Td.E0 + 3] << 52
    inner = tds[td, Td.S0] & LOW_32 | tds[td, Td.S0 + 1] << 32
    outer = tds[td, Td.S0 + 2] & LOW_32 | tds[td, Td.S0 + 3] << 32
    kind = tds[td, Td.REGION] | tds[td, Td.DTYPE] << 4 | tds[td, Td.GLOG2] << 8 | tds[td, Td.FMT] << 12
    place = mixed(mixed(mixed(mixed(0, extents), inner), outer), kind) & table.size - 1
    while table[place] > 0:
        row = table[place] - 1
        if shapes[row, 0] == extents and shapes[row, 1] == inner and shapes[row, 2] == outer and shapes[row, 3] == kind:
            tds[td, Td.SHAPE] = row + 1
            return row + 1
        place = place + 1 & table.size - 1
    row = s.core[Core.SHAPES]
    if row == MAX_SHAPES:
        return row - row
    shapes[row, 0], shapes[row, 1], shapes[row, 2], shapes[row, 3] = extents, inner, outer, kind
    s.core[Core.SHAPES] = row + 1
    table[place] = row + 1
    tds[td, Td.SHAPE] = row + 1
    return row + 1


@inlined
def is_form(forms: Ints, row: int, pc: int, sa: int, sb: int, sc: int, sd: int) -> bool:
    return (
        forms[row, Form.PC] == pc
        and forms[row, Form.SHAPES] == sa
        and forms[row, Form.SHAPES + 1] == sb
        and forms[row, Form.SHAPES + 2] == sc
        and forms[row, Form.SHAPES + 3] == sd
    )


@inlined
def form_hash(pc: int, sa: int, sb: int, sc: int, sd: int) -> int:
    return mixed(mixed(pc, sa | sb << 32), sc | sd << 32)


@compiled
def find_form(s: Block, known: int, pc: int, sa: int, sb: int, sc: int, sd: int) -> int:
    """The row and one of the instruction at pc with operands of these shapes, or 0. `known`: which it was last."""
    if known > 0 and is_form(s.forms, known - 1, pc, sa, sb, sc, sd):
        return known
    table = s.form_table
    place = form_hash(pc, sa, sb, sc, sd) & table.size - 1
    while table[place] > 0:
        if is_form(s.forms, table[place] - 1, pc, sa, sb, sc, sd):
            break
        place = place + 1 & table.size - 1
    return table[place]


@compiled
def find_cost(s: Block, form: int) -> int:
    """The row and one of the cost of a form, with its DRAM operand where it lies now; or 0."""
    if s.forms[form, Form.COST] > 0:
        return s.forms[form, Form.COST]
    residue = s.tds[s.forms[form, Form.DRAM], Td.BASE] & s.core[Core.PERIOD_MASK]
    table = s.cost_table
    place = mixed(form, residue) & table.size - 1
    while table[place] > 0:
        row = table[place] - 1
        if s.costs[row, Cost.FORM] == form and s.costs[row, Cost.RESIDUE] == residue:
            break
        place = place + 1 & table.size - 1
    return table[place]


@compiled
def learn(s: Block) -> None:
    """Enters the rows that the host has filled into the hash tables."""
    row = s.core[Core.NEW_FORM] - 1
    if row >= 0:
        sa, sb = s.forms[row, Form.SHAPES], s.forms[row, Form.SHAPES + 1]
        sc, sd = s.forms[row, Form.SHAPES + 2], s.forms[row, Form.SHAPES + 3]
        enter(s.form_table, form_hash(s.forms[row, Form.PC], sa, sb, sc, sd), row)
        s.core[Core.NEW_FORM] = 0
    row = s.core[Core.NEW_COST] - 1
    if row >= 0:
        enter(s.cost_table, mixed(s.costs[row, Cost.FORM], s.costs[row, Cost.RESIDUE]), row)
        s.core[Core.NEW_COST] = 0


@compiled
def enter(table: Ints, place: int, row: int) -> None:
    """Puts a row at the first empty place. Tables are never full."""
    place &= table.size - 1
    while table[place] > 0:
        place = place + 1 & table.size - 1
    table[place] = row + 1
