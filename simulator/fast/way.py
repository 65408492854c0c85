"""What a way through the program needs, while recorder.py follows it: where each number comes from.

A number on the way is a value and, if it may be another one next time, a source: value = factor * source + something. Sources are
the x-registers and the bases of descriptors at the beginning, and what `lds` reads at addresses that depend on x-registers. What decides
anything is made known: its source must then be what it is. Everything else that is read is noted as a condition.
"""

from __future__ import annotations

from isa.spec import TD_REGISTERS, X_REGISTERS
from simulator.fast.compiled import compiled
from simulator.fast.layout import Block, Core, Ints, Td
from simulator.fast.trace_layout import FIRST_BASE, GREATEST, LEAST, MAX_LOADS, Load, TdWay, Way, WaySource, XWay

MAX_ADDED = 1 << 61
MAX_FACTOR = 1 << 24
NO_SOURCE = -1


@compiled
def begin_way(s: Block, values: Ints) -> None:
    """From the registers as they are, which are kept."""
    for place in range(Way.LENGTH):
        s.way[place] = 0
    for register in range(X_REGISTERS + 1):
        s.kept_values[register] = values[register]
        s.way_x[register, XWay.SOURCE], s.way_x[register, XWay.FACTOR] = NO_SOURCE, 0
    for register in range(1, X_REGISTERS):
        s.way_x[register, XWay.SOURCE], s.way_x[register, XWay.FACTOR] = register, 1
        clear_source(s, register, values[register])
    for register in range(TD_REGISTERS + 1):
        for word in range(Td.LENGTH):
            s.kept_tds[register, word] = s.tds[register, word]
        for column in range(TdWay.LENGTH):
            s.way_td[register, column] = 0
    s.core[Core.WAYS] += 1


@compiled
def end_way(s: Block, values: Ints) -> None:
    """The registers are again as they were."""
    for register in range(X_REGISTERS + 1):
        values[register] = s.kept_values[register]
    for register in range(TD_REGISTERS + 1):
        for word in range(Td.LENGTH):
            s.tds[register, word] = s.kept_tds[register, word]


@compiled
def clear_source(s: Block, source: int, value: int) -> None:
    s.way_sources[source, WaySource.START], s.way_sources[source, WaySource.KNOWN] = value, 0
    s.way_sources[source, WaySource.LEAST], s.way_sources[source, WaySource.GREATEST] = LEAST, GREATEST
    s.way_sources[source, WaySource.POINTS] = s.way_sources[source, WaySource.IS_ANCHORED] = 0


@compiled
def source_of(s: Block, register: int) -> int:
    """Of an x-register, or of a constant behind them; NO_SOURCE if the value must be what it is."""
    if register > X_REGISTERS:
        return NO_SOURCE
    source = s.way_x[register, XWay.SOURCE]
    return NO_SOURCE if source >= 0 and s.way_sources[source, WaySource.KNOWN] != 0 else source


@compiled
def factor_of(s: Block, register: int) -> int:
    return 0 if source_of(s, register) < 0 else s.way_x[register, XWay.FACTOR]


@compiled
def set_number(s: Block, register: int, source: int, factor: int) -> None:
    s.way_x[register, XWay.SOURCE], s.way_x[register, XWay.FACTOR] = source, factor


@compiled
def make_known(s: Block, source: int) -> None:
    """Its value becomes a condition; if it was read from SMEM, so does the address."""
    if source >= 0:
        s.way_sources[source, WaySource.KNOWN] = 1
        if X_REGISTERS <= source < FIRST_BASE:
            s.way_sources[s.way_loads[source - X_REGISTERS, Load.REGISTER], WaySource.KNOWN] = 1


@compiled
def know(s: Block, register: int) -> None:
    """The value of an x-register, or of a constant, becomes a condition."""
    make_known(s, source_of(s, register))


@compiled
def limit(s: Block, source: int, least: int, greatest: int) -> None:
    """A source may be any number in between."""
    s.way_sources[source, WaySource.LEAST] = max(s.way_sources[source, WaySource.LEAST], least)
    s.way_sources[source, WaySource.GREATEST] = min(s.way_sources[source, WaySource.GREATEST], greatest)


@compiled
def added_to(s: Block, source: int, factor: int, value: int) -> int:
    """What a number has beside its source."""
    return value - factor * s.way_sources[source, WaySource.START]


@compiled
def is_small(number: int) -> bool:
    return -MAX_ADDED < number < MAX_ADDED


@compiled
def is_factor(number: int) -> bool:
    return -MAX_FACTOR < number < MAX_FACTOR


@compiled
def touch(s: Block, register: int) -> None:
    """The shape of a descriptor register becomes a condition unless it was written on the way."""
    if s.way_td[register, TdWay.IS_KNOWN] == 0:
        s.way_td[register, TdWay.IS_KNOWN] = s.way_td[register, TdWay.SHAPE_COUNTS] = 1


@compiled
def base_counts(s: Block, register: int) -> bool:
    """Whether the base of a descriptor register at the beginning is a condition."""
    is_read = s.way_td[register, TdWay.SHAPE_COUNTS] != 0 and s.way_bases[register] == s.core[Core.WAYS]
    return is_read and s.way_sources[FIRST_BASE + register, WaySource.KNOWN] != 0


@compiled
def touch_base(s: Block, register: int) -> int:
    """Returns the source of the base."""
    touch(s, register)
    if s.way_td[register, TdWay.HAS_BASE] == 0:
        set_base(s, register, FIRST_BASE + register)
        clear_source(s, FIRST_BASE + register, s.tds[register, Td.BASE])
        s.way_bases[register] = s.core[Core.WAYS]
    source = s.way_td[register, TdWay.SOURCE]
    return NO_SOURCE if source >= 0 and s.way_sources[source, WaySource.KNOWN] != 0 else source


@compiled
def set_base(s: Block, register: int, source: int) -> None:
    """The base of a descriptor register was written."""
    s.way_td[register, TdWay.HAS_BASE], s.way_td[register, TdWay.SOURCE] = 1, source


@compiled
def new_load(s: Block, register: int, factor: int, added: int, log2: int, value: int) -> int:
    """The source that stands for what is read from SMEM at an address that depends on an x-register; NO_SOURCE if there is none left."""
    number = s.way[Way.LOADS]
    if number == MAX_LOADS:
        return NO_SOURCE
    s.way[Way.LOADS] = number + 1
    s.way_loads[number, Load.REGISTER], s.way_loads[number, Load.FACTOR] = register, factor
    s.way_loads[number, Load.ADDED], s.way_loads[number, Load.LOG2] = added, log2
    clear_source(s, X_REGISTERS + number, value)
    return X_REGISTERS + number
