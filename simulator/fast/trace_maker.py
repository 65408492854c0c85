"""Makes traces (traces.py) of ways that recorder.py has followed: their lists, in `items`."""

from __future__ import annotations

from isa.spec import TD_REGISTERS, X_REGISTERS
from simulator.fast.compiled import compiled
from simulator.fast.layout import Block, Core, Ints, Program, Td
from simulator.fast.observation import FIRST_CREDIT
from simulator.fast.recorder import follow
from simulator.fast.trace_layout import (
    FIRST_BASE,
    GREATEST,
    LEAST,
    MAX_FLOWS,
    MAX_ITEMS,
    MAX_LOADS,
    MAX_POINTERS,
    MAX_READS,
    MAX_SOURCES,
    MAX_TRACES,
    NEVER,
    Load,
    Source,
    TdWay,
    Trace,
    Way,
    WaySource,
    XWay,
)
from simulator.fast.traces import enter_trace
from simulator.fast.way import NO_SOURCE, added_to, base_counts, begin_way, end_way, make_known, touch_base

MOST_ITEMS = (
    3 * (MAX_READS + MAX_LOADS + MAX_POINTERS)
    + 4 * (MAX_LOADS + X_REGISTERS)
    + 2 * (MAX_FLOWS + X_REGISTERS)
    + Source.LENGTH * MAX_SOURCES
    + 2 * TD_REGISTERS * (2 + Td.LENGTH)
)


@compiled
def make_trace(s: Block, program: Program, values: Ints, by_pc: Ints, pc: int, cuts: int, engines: int) -> int:
    """The row and one of a new trace from pc on, with at most so many cuts and at least so many engine instructions; or 0."""
    made = try_trace(s, program, values, by_pc, pc, cuts, engines)
    if made == 0 and 0 < s.way[Way.CUTS] < cuts:  # as far as it can go
        made = try_trace(s, program, values, by_pc, pc, s.way[Way.CUTS], engines)
    return made


@compiled
def try_trace(s: Block, program: Program, values: Ints, by_pc: Ints, pc: int, cuts: int, engines: int) -> int:
    core, made = s.core, 0
    if core[Core.TRACES] == MAX_TRACES or core[Core.ITEMS] + MOST_ITEMS > MAX_ITEMS:
        core[Core.STALE] = 1
        return 0
    begin_way(s, values)
    end = follow(s, program, values, by_pc, pc, cuts)
    if end >= 0 and s.way[Way.ENGINES] >= engines:
        made = core[Core.TRACES] + 1
        core[Core.TRACES] = made
        describe_trace(s, made - 1, pc, end)
        list_conditions(s, made - 1)
        list_sources(s, made - 1)
        list_results(s, values, made - 1)
    end_way(s, values)
    if made > 0:
        enter_trace(s, values, by_pc, made - 1)
    return made


@compiled
def describe_trace(s: Block, row: int, pc: int, end: int) -> None:
    trace, way = s.traces[row], s.way
    for column in range(Trace.LENGTH):
        trace[column] = 0
    trace[Trace.BEGIN], trace[Trace.END], trace[Trace.CUTS] = pc, end, way[Way.CUTS]
    trace[Trace.INSTRUCTIONS], trace[Trace.ENGINES] = way[Way.INSTRUCTIONS], way[Way.ENGINES]
    trace[Trace.SMEM_BYTES], trace[Trace.EPOCH] = way[Way.SMEM_BYTES], s.core[Core.EPOCH]
    trace[Trace.CREDIT], trace[Trace.AHEAD] = FIRST_CREDIT, NEVER


@compiled
def begin_list(s: Block, row: int, column: int) -> int:
    s.traces[row, column] = s.core[Core.ITEMS]
    return s.core[Core.ITEMS]


@compiled
def end_list(s: Block, row: int, column: int, at: int, width: int) -> None:
    s.traces[row, column + 1] = (at - s.core[Core.ITEMS]) // width
    s.core[Core.ITEMS] = at


@compiled
def list_conditions(s: Block, row: int) -> None:
    """What registers and SMEM must be."""
    items, sources = s.items, s.way_sources
    for register in range(TD_REGISTERS):  # of what is left, the base too must be what it was
        if s.way_td[register, TdWay.HAS_BASE] == 0 and is_changed(s, register):
            make_known(s, touch_base(s, register))
    fix_anchors(s)
    at = begin_list(s, row, Trace.GUARDS)
    for register in range(1, X_REGISTERS):
        if sources[register, WaySource.KNOWN] != 0:
            items[at], items[at + 1] = register, sources[register, WaySource.START]
            at += 2
    end_list(s, row, Trace.GUARDS, at, 2)
    at = begin_list(s, row, Trace.SHAPES)
    for register in range(TD_REGISTERS):
        if s.way_td[register, TdWay.SHAPE_COUNTS] != 0:
            items[at], items[at + 1] = register, 1 if base_counts(s, register) else 0
            for word in range(Td.LENGTH):
                items[at + 2 + word] = s.kept_tds[register, word]
            at += 2 + Td.LENGTH
    end_list(s, row, Trace.SHAPES, at, 2 + Td.LENGTH)
    at = begin_list(s, row, Trace.READS)
    for number in range(s.way[Way.READS]):
        for column in range(3):
            items[at + column] = s.way_reads[number, column]
        at += 3
    for number in range(s.way[Way.LOADS]):
        source, load = X_REGISTERS + number, s.way_loads[number]
        if sources[source, WaySource.KNOWN] != 0:
            start = sources[load[Load.REGISTER], WaySource.START]
            items[at], items[at + 1] = load[Load.FACTOR] * start + load[Load.ADDED], load[Load.LOG2]
            items[at + 2] = sources[source, WaySource.START]
            at += 3
    end_list(s, row, Trace.READS, at, 3)


@compiled
def is_changed(s: Block, register: int) -> bool:
    """Whether the words behind the base are other ones than they were."""
    word = 1
    while word < Td.LENGTH and s.tds[register, word] == s.kept_tds[register, word]:
        word += 1
    return word < Td.LENGTH


@compiled
def is_left_alone(s: Block, register: int) -> bool:
    """Whether it will always be left as it was: the base is its own one, or both are conditions."""
    source = s.way_td[register, TdWay.SOURCE]
    is_own = source == FIRST_BASE + register or (base_counts(s, register) and free_source(s, source) < 0)
    is_same = s.tds[register, Td.BASE] == s.kept_tds[register, Td.BASE] and not is_changed(s, register)
    return s.way_td[register, TdWay.SHAPE_COUNTS] != 0 and is_own and is_same


@compiled
def list_sources(s: Block, row: int) -> None:
    """What may be another number next time: those with pointers, those with limits, and the pointers."""
    items, sources, at = s.items, s.way_sources, begin_list(s, row, Trace.LOADS)
    for number in range(s.way[Way.LOADS]):
        for column in range(Load.LENGTH):
            items[at + column] = s.way_loads[number, column]
        at += Load.LENGTH
    end_list(s, row, Trace.LOADS, at, Load.LENGTH)
    at, keys = begin_list(s, row, Trace.SOURCES), 0
    for points in range(1, -1, -1):
        for source in range(MAX_SOURCES):
            if not is_in_use(s, source):
                continue
            free = sources[source, WaySource.KNOWN] == 0 and sources[source, WaySource.POINTS] == points
            least, greatest = sources[source, WaySource.LEAST], sources[source, WaySource.GREATEST]
            if free and (points == 1 or least > LEAST or greatest < GREATEST):
                anchored = sources[source, WaySource.IS_ANCHORED]
                items[at + Source.SOURCE], items[at + Source.IS_ANCHORED] = source, anchored
                items[at + Source.LEAST], items[at + Source.GREATEST] = least, greatest
                items[at + Source.START] = sources[source, WaySource.START]
                s.traces[row, Trace.IS_ANCHORED] |= anchored
                sources[source, WaySource.PLACE] = keys
                keys += points
                at += Source.LENGTH
    s.traces[row, Trace.KEYS] = keys
    end_list(s, row, Trace.SOURCES, at, Source.LENGTH)
    at = begin_list(s, row, Trace.POINTERS)
    for number in range(s.way[Way.POINTERS]):
        source = s.way_pointers[number, 1]
        if sources[source, WaySource.KNOWN] == 0:
            items[at], items[at + 1] = s.way_pointers[number, 0], sources[source, WaySource.PLACE]
            items[at + 2] = s.way_pointers[number, 2]
            at += 3
    end_list(s, row, Trace.POINTERS, at, 3)


@compiled
def is_in_use(s: Block, source: int) -> bool:
    if source >= FIRST_BASE:
        return s.way_bases[source - FIRST_BASE] == s.core[Core.WAYS]
    return 0 < source < X_REGISTERS + s.way[Way.LOADS]


@compiled
def fix_anchors(s: Block) -> None:
    """If some keys and values have to be where they are, so have all."""
    sources, fixed = s.way_sources, s.way[Way.FIXED]
    for source in range(MAX_SOURCES):
        if is_in_use(s, source) and sources[source, WaySource.IS_ANCHORED] & sources[source, WaySource.KNOWN] != 0:
            fixed = 1
    for source in range(MAX_SOURCES):
        if fixed != 0 and is_in_use(s, source) and sources[source, WaySource.IS_ANCHORED] != 0:
            make_known(s, source)


@compiled
def list_results(s: Block, values: Ints, row: int) -> None:
    """What is left in registers, and how often instructions were executed."""
    items, at = s.items, begin_list(s, row, Trace.RESULTS)
    for register in range(1, X_REGISTERS):
        source, factor = s.way_x[register, XWay.SOURCE], s.way_x[register, XWay.FACTOR]
        if source != register or factor != 1 or values[register] != s.kept_values[register]:
            source = free_source(s, source)
            factor = factor if source >= 0 else 0
            items[at], items[at + 1], items[at + 2] = register, source, factor
            items[at + 3] = values[register] if source < 0 else added_to(s, source, factor, values[register])
            at += 4
    end_list(s, row, Trace.RESULTS, at, 4)
    at = begin_list(s, row, Trace.DESCRIPTORS)
    for register in range(TD_REGISTERS):
        if s.way_td[register, TdWay.HAS_BASE] != 0 and not is_left_alone(s, register):
            items[at], items[at + 1] = register, free_source(s, s.way_td[register, TdWay.SOURCE])
            for word in range(Td.LENGTH):
                items[at + 2 + word] = s.tds[register, word]
            if items[at + 1] >= 0:
                items[at + 2] = added_to(s, items[at + 1], 1, s.tds[register, Td.BASE])
            at += 2 + Td.LENGTH
    end_list(s, row, Trace.DESCRIPTORS, at, 2 + Td.LENGTH)
    at = begin_list(s, row, Trace.FLOWS)
    for number in range(s.way[Way.FLOWS]):
        if s.way_flows[number, 1] != 0:
            items[at], items[at + 1] = s.way_flows[number, 0], s.way_flows[number, 1]
            at += 2
    end_list(s, row, Trace.FLOWS, at, 2)


@compiled
def free_source(s: Block, source: int) -> int:
    """A source, or NO_SOURCE if its value is a condition."""
    return NO_SOURCE if source >= 0 and s.way_sources[source, WaySource.KNOWN] != 0 else source
