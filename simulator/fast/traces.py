"""Traces: what a way through the program needs, and what it leaves in registers, if it is gone once more (recorder.py makes them)."""

from __future__ import annotations

from isa.spec import X_REGISTERS
from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import mixed
from simulator.fast.layout import Block, ByPc, Core, Ints, Td
from simulator.fast.scalar import load, smem_place
from simulator.fast.schedule import SMEM
from simulator.fast.trace_layout import FIRST_BASE, MAX_TRACES, Load, Source, Trace
from simulator.timing.costs import DRAM_GRANULE_BYTES

WORDS = int(Td.LENGTH)
TABLE_MASK = 2 * MAX_TRACES - 1
MOST_TRIED = 16
SHAPE_ITEMS, DESCRIPTOR_ITEMS = 2 + WORDS, 2 + WORDS


@compiled
def find_trace(s: Block, values: Ints, by_pc: Ints, pc: int, before: int) -> int:
    """The row and one of the trace that the program goes from here on, or 0. `before`: that of the trace it came on."""
    likely = s.traces[before - 1, Trace.SUCCESSOR] if before > 0 else 0
    if likely > 0 and s.traces[likely - 1, Trace.BEGIN] == pc and applies(s, values, likely - 1):
        return likely
    first, name = by_pc[pc, ByPc.TRACE], 0
    if first > 0:
        name = first_of(s, values, pc, place_of_values(s, values, pc, first - 1))
        if name == 0:
            name = first_of(s, values, pc, place_of_pc(pc))
    if before > 0:
        s.traces[before - 1, Trace.SUCCESSOR] = name
    return name


@compiled
def first_of(s: Block, values: Ints, pc: int, place: int) -> int:
    """The first trace of a list that the program goes from here on, which becomes the first one, or 0. What was not wanted for long
    is not looked for.
    """
    name = s.trace_table[place]
    first, before = name, 0
    for _ in range(MOST_TRIED):
        if name == 0:
            return 0
        if s.traces[name - 1, Trace.BEGIN] == pc and applies(s, values, name - 1):
            if before > 0:
                s.traces[before - 1, Trace.FOLLOWING] = s.traces[name - 1, Trace.FOLLOWING]
                s.traces[name - 1, Trace.FOLLOWING] = first
                s.trace_table[place] = name
            return name
        before, name = name, s.traces[name - 1, Trace.FOLLOWING]
    return 0


@compiled
def enter_trace(s: Block, values: Ints, by_pc: Ints, row: int) -> None:
    """Enters a trace that begins at the place the program has come to. Traces that need as many registers as the first one are
    found by the values of these, others only by the place.
    """
    pc = s.traces[row, Trace.BEGIN]
    if by_pc[pc, ByPc.TRACE] == 0:
        by_pc[pc, ByPc.TRACE] = row + 1
    first = by_pc[pc, ByPc.TRACE] - 1
    place = place_of_values(s, values, pc, first) if has_guards_of(s, row, first) else place_of_pc(pc)
    s.traces[row, Trace.FOLLOWING] = s.trace_table[place]
    s.trace_table[place] = row + 1


@inlined
def place_of_pc(pc: int) -> int:
    return mixed(0, pc) & TABLE_MASK


@compiled
def place_of_values(s: Block, values: Ints, pc: int, first: int) -> int:
    """By the values of the registers that a trace needs."""
    at, state = s.traces[first, Trace.GUARDS], mixed(1, pc)
    for number in range(s.traces[first, Trace.GUARDS + 1]):
        state = mixed(state, values[s.items[at + 2 * number]])
    return state & TABLE_MASK


@compiled
def has_guards_of(s: Block, row: int, other: int) -> bool:
    """Whether a trace needs all registers that another one needs."""
    at, guards = s.traces[row, Trace.GUARDS], s.traces[row, Trace.GUARDS + 1]
    for number in range(s.traces[other, Trace.GUARDS + 1]):
        register, found = s.items[s.traces[other, Trace.GUARDS] + 2 * number], 0
        while found < guards and s.items[at + 2 * found] != register:
            found += 1
        if found == guards:
            return False
    return True


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
def find_sources(s: Block, values: Ints, row: int) -> bool:
    """Writes what the sources of a trace are to `sources`, and the places of those with pointers within a period to `places`; False
    if one is not what it may be.
    """
    smem, at = s.memories[SMEM, 0], s.traces[row, Trace.LOADS]
    for number in range(s.traces[row, Trace.LOADS + 1]):
        address = values[s.items[at]] * s.items[at + 1] + s.items[at + 2]
        log2 = s.items[at + 3]
        if not smem_place(address, 1 << log2, 1 << log2):
            return False
        s.sources[X_REGISTERS + number] = load(smem, address, log2)
        at += Load.LENGTH
    at, mask, keys = s.traces[row, Trace.SOURCES], s.core[Core.PERIOD_MASK], s.traces[row, Trace.KEYS]
    anchors, moved = 0, 0
    for number in range(s.traces[row, Trace.SOURCES + 1]):
        value = value_of(s, values, s.items[at + Source.SOURCE])
        if value < s.items[at + Source.LEAST] or value > s.items[at + Source.GREATEST]:
            return False
        if number < keys:
            s.places[number] = value & mask
        if (
            s.items[at + Source.IS_ANCHORED] != 0
        ):  # all keys and values by the same distance, or they would meet otherwise
            by = value - s.items[at + Source.START]
            if by & DRAM_GRANULE_BYTES - 1 != 0 or (anchors > 0 and by != moved):
                return False
            anchors, moved = anchors + 1, by
        at += Source.LENGTH
    s.core[Core.MOVED] = moved
    # Whoever reads SMEM at other addresses is not to wait for engines.
    return s.traces[row, Trace.LOADS + 1] == 0 or s.core[Core.SMEM_HORIZON] <= s.core[Core.NOW]


@inlined
def value_of(s: Block, values: Ints, source: int) -> int:
    if source < X_REGISTERS:
        return values[source]
    return s.sources[source] if source < FIRST_BASE else s.tds[source - FIRST_BASE, Td.BASE]


@compiled
def leave_results(s: Block, values: Ints, by_pc: Ints, row: int) -> None:
    """What the trace leaves in registers, with its sources as they are, and how often instructions were executed."""
    items, tds, at = s.items, s.tds, s.traces[row, Trace.DESCRIPTORS]
    for _ in range(s.traces[row, Trace.DESCRIPTORS + 1]):
        td, source = items[at], items[at + 1]
        base = (
            value_of(s, values, source) if source >= 0 else 0
        )  # of the bases at the beginning, its own is the only one
        for word in range(WORDS):
            tds[td, word] = items[at + 2 + word]
        tds[td, Td.BASE] += base
        at += DESCRIPTOR_ITEMS
    at = s.traces[row, Trace.RESULTS]
    results = s.traces[row, Trace.RESULTS + 1]
    for number in range(results):
        source = items[at + 4 * number + 1]
        s.results[number] = items[at + 4 * number + 3]
        if source >= 0:
            s.results[number] += items[at + 4 * number + 2] * value_of(s, values, source)
    for number in range(results):
        values[items[at + 4 * number]] = s.results[number]
    at = s.traces[row, Trace.FLOWS]
    for _ in range(s.traces[row, Trace.FLOWS + 1]):
        by_pc[items[at], ByPc.FLOW] += items[at + 1]
        at += 2
