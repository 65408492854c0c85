"""Traces: what a way through the program needs, and what it leaves in registers, if it is gone once more (recorder.py makes them)."""

from __future__ import annotations

from simulator.fast.compiled import compiled
from simulator.fast.layout import Block, ByPc, Core, Form, Ints, Operand, Td, Trace
from simulator.fast.lookup import find_cost_at
from simulator.fast.scalar import load
from simulator.fast.schedule import SMEM
from simulator.timing.actions import ACTION_INDEX

SMEM_ACTION = ACTION_INDEX["smem"]
WORDS = int(Td.LENGTH)
SHAPE_ITEMS, DESCRIPTOR_ITEMS = 2 + WORDS, 2 + WORDS


@compiled
def find_trace(s: Block, values: Ints, by_pc: Ints, pc: int, before: int) -> int:
    """The row and one of the trace that the program goes from here on, or 0. `before`: that of the trace it came on."""
    likely = s.traces[before - 1, Trace.SUCCESSOR] if before > 0 else 0
    if likely > 0 and s.traces[likely - 1, Trace.BEGIN] == pc and applies(s, values, likely - 1):
        return likely
    name = by_pc[pc, ByPc.TRACE]
    while name > 0 and not applies(s, values, name - 1):
        name = s.traces[name - 1, Trace.FOLLOWING]
    if before > 0:
        s.traces[before - 1, Trace.SUCCESSOR] = name
    return name


@compiled
def applies(s: Block, values: Ints, row: int) -> bool:
    """Whether everything is as the trace needs it."""
    items, at = s.items, s.traces[row, Trace.GUARDS]
    for _ in range(s.traces[row, Trace.GUARDS + 1]):
        if values[items[at]] != items[at + 1]:
            return False
        at += 2
    return has_shapes(s, row) and reads_alike(s, row)


@compiled
def has_shapes(s: Block, row: int) -> bool:
    items, tds, at = s.items, s.tds, s.traces[row, Trace.SHAPES]
    for _ in range(s.traces[row, Trace.SHAPES + 1]):
        td = items[at]
        if items[at + 1] != 0 and items[at + 2] != tds[td, Td.BASE]:
            return False
        for word in range(1, WORDS):
            if items[at + 2 + word] != tds[td, word]:
                return False
        at += SHAPE_ITEMS
    return True


@compiled
def reads_alike(s: Block, row: int) -> bool:
    """Whether SMEM has what the trace reads there."""
    if s.traces[row, Trace.EPOCH] == s.core[Core.EPOCH]:
        return True
    at = s.traces[row, Trace.READS]
    for _ in range(s.traces[row, Trace.READS + 1]):
        if load(s.memories[SMEM, 0], s.items[at], s.items[at + 1]) != s.items[at + 2]:
            return False
        at += 3
    s.traces[row, Trace.EPOCH] = s.core[Core.EPOCH]
    return True


@compiled
def choose_costs(s: Block, values: Ints, row: int) -> bool:
    """Writes the costs of its pointers to `chosen`; False if one is not known, or an operand may not lie there."""
    forms, at = s.traces[row, Trace.FORMS], s.traces[row, Trace.POINTERS]
    for number in range(s.traces[row, Trace.POINTERS + 1]):
        base, form = values[s.items[at + 1]] + s.items[at + 2], s.items[forms + number]
        if not may_lie(s, form, base):
            return False
        cost = find_cost_at(s, form, base)
        if cost == 0:
            return False
        s.chosen[number] = cost - 1
        at += 3
    return True


@compiled
def may_lie(s: Block, form: int, base: int) -> bool:
    """The checks of the operand in a read-only region: alignment and bounds."""
    forms, at = s.forms, Form.OPERAND
    while forms[form, at + Operand.REGISTER] != forms[form, Form.DRAM]:
        at += Operand.LENGTH
    size = s.memories[forms[form, at + Operand.REGION], 1]
    return (
        base & forms[form, at + Operand.ALIGNMENT] == 0
        and base >= 0
        and base + forms[form, at + Operand.LOW] >= 0
        and base + forms[form, at + Operand.HIGH] <= size
        and base >> 40 == 0
    )


@compiled
def leave_results(s: Block, values: Ints, by_pc: Ints, row: int) -> None:
    """What the trace leaves in registers, and how often instructions were executed."""
    items, tds, at = s.items, s.tds, s.traces[row, Trace.DESCRIPTORS]
    for _ in range(s.traces[row, Trace.DESCRIPTORS + 1]):
        td, source = items[at], items[at + 1]
        for word in range(WORDS):
            tds[td, word] = items[at + 2 + word]
        if source >= 0:
            tds[td, Td.BASE] += values[source]
        at += DESCRIPTOR_ITEMS
    at = s.traces[row, Trace.RESULTS]
    results = s.traces[row, Trace.RESULTS + 1]
    for number in range(results):
        s.results[number] = items[at + 3 * number + 2]
        if items[at + 3 * number + 1] >= 0:
            s.results[number] += values[items[at + 3 * number + 1]]
    for number in range(results):
        values[items[at + 3 * number]] = s.results[number]
    at = s.traces[row, Trace.FLOWS]
    for _ in range(s.traces[row, Trace.FLOWS + 1]):
        by_pc[items[at], ByPc.FLOW] += items[at + 1]
        at += 2
