"""What is known about an engine instruction: rows of `forms` and `costs`, found by hash of the shapes of its operands."""

from __future__ import annotations

from typing import Any

from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import hash_shape, mixed
from simulator.fast.layout import MAX_PLACES, Block, Core, Form, Ints, Operand, Program, Td

KEY, ROW = 0, 1  # columns of `cost_table`
PLACES = 2 * MAX_PLACES


@inlined
def is_form(s: Block, row: int, pc: int) -> bool:
    """Whether a form is that of the instruction at pc with its operands as they are."""
    forms, tds = s.forms, s.tds
    if forms[row, Form.PC] != pc:
        return False
    for number in range(forms[row, Form.OPERANDS]):
        at = Form.OPERAND + number * Operand.LENGTH
        td = forms[row, at + Operand.REGISTER]
        if (
            forms[row, at + Operand.EXTENTS] != tds[td, Td.EXTENTS]
            or forms[row, at + Operand.INNER] != tds[td, Td.INNER]
            or forms[row, at + Operand.OUTER] != tds[td, Td.OUTER]
            or forms[row, at + Operand.KIND] != tds[td, Td.KIND]
        ):
            return False
    return True


@inlined
def form_hash(tds: Ints, pc: int, i: Any) -> int:
    """Of an instruction with its operands as they are."""
    state = hash_shape(hash_shape(pc, tds, i.ta), tds, i.tb)
    return hash_shape(hash_shape(state, tds, i.tc), tds, i.td)


@compiled
def find_form(s: Block, known: int, pc: int, i: Any) -> int:
    """The row and one of the instruction at pc with its operands as they are, or 0. `known`: which it was last."""
    if known > 0 and is_form(s, known - 1, pc):
        return known
    table = s.form_table
    place = form_hash(s.tds, pc, i) & table.size - 1
    while table[place] > 0:
        if is_form(s, table[place] - 1, pc):
            break
        place = place + 1 & table.size - 1
    return table[place]


@compiled
def find_cost(s: Block, form: int) -> int:
    """The row and one of the cost of a form, with its DRAM operand where it lies now; or 0."""
    if s.forms[form, Form.COST] > 0:
        return s.forms[form, Form.COST]
    return find_cost_at(s, form, s.tds[s.forms[form, Form.DRAM], Td.BASE])


@compiled
def find_cost_at(s: Block, form: int, base: int) -> int:
    """... with its DRAM operand at a base."""
    key = cost_key(s, form, base)
    place = first_place(s, key)
    while s.cost_table[place, KEY] != key:
        if s.cost_table[place, KEY] == 0:
            return 0
        place = place + 1 & PLACES - 1
    return s.cost_table[place, ROW]


@inlined
def cost_key(s: Block, form: int, base: int) -> int:
    """A form, and the place of its operand in DRAM within a period; not 0."""
    return (form + 1) * (s.core[Core.PERIOD_MASK] + 1) + (base & s.core[Core.PERIOD_MASK])


@inlined
def first_place(s: Block, key: int) -> int:
    """Where to look for a key in `cost_table`."""
    return mixed(0, key) & PLACES - 1


@compiled
def enter_cost(s: Block, key: int, row: int) -> None:
    place = first_place(s, key)
    while s.cost_table[place, KEY] != 0:
        place = place + 1 & PLACES - 1
    s.cost_table[place, KEY], s.cost_table[place, ROW] = key, row + 1


@compiled
def learn(s: Block, program: Program) -> None:
    """Enters the rows that the host has filled into the hash tables. The operands are still as they were."""
    row = s.core[Core.NEW_FORM] - 1
    if row >= 0:
        pc = s.forms[row, Form.PC]
        enter(s.form_table, form_hash(s.tds, pc, program[pc]), row)
        s.core[Core.NEW_FORM] = 0
    row = s.core[Core.NEW_COST] - 1
    if row >= 0:
        enter_cost(s, s.core[Core.NEW_KEY], row)
        s.core[Core.NEW_COST] = 0


@compiled
def enter(table: Ints, place: int, row: int) -> None:
    """Puts a row at the first empty place. Tables are never full."""
    place &= table.size - 1
    while table[place] > 0:
        place = place + 1 & table.size - 1
    table[place] = row + 1
