"""Accesses in flight: the rules of simulator/timing/interlock.py on arrays.

A stamp is the end of an access and below it the number of its engine, so that the latest of some stamps names both. The
same stamp with its low bits turned over names the engine with the lowest number; only if that is another one, the order of
the accesses has to be looked at.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Core, Form, Operand
from simulator.fast.slots import GROUP, GROUPS, slot

READS, WRITES = 0, 1
ENGINE_BITS = 2
FIRST_ENGINE = 1
LOW_BITS = (1 << ENGINE_BITS) - 1
NONE = 1 << 62
"""Later than any place in the order. Not the largest number: LLVM would take that out of the minimum, and the loop would no longer
be one over vectors.
"""


@compiled
def conflict(s: Block, form: int) -> tuple[int, int]:
    """(cycle, engine) until which, and by which, an instruction with its operands in `lows` and `highs` is held up; a cycle that is
    over if it is not. Of several accesses that finish together, that of the first operand counts; then a write, then the oldest.
    """
    most, least = latest_writes(s)
    for number in range(s.forms[form, Form.OPERANDS]):
        if s.forms[form, Form.OPERAND + number * Operand.LENGTH + Operand.WRITE] != 0:
            one, other = latest(s, READS, s.lows[number], s.highs[number])
            most, least = max(most, one), max(least, other)
    end, engine = most >> ENGINE_BITS, most & LOW_BITS
    if engine != least & LOW_BITS ^ LOW_BITS:
        engine = first_engine(s, form, end)
    return end, engine + FIRST_ENGINE


@inlined
def latest_writes(s: Block) -> tuple[int, int]:
    """The latest stamp of writes to any operand, plain and turned over. Exempt operands, and those there are not, are empty."""
    stamps, lows, highs = s.access_stamps[WRITES], s.access_lows[WRITES], s.access_highs[WRITES]
    low_0, low_1, low_2, low_3 = s.lows[0], s.lows[1], s.lows[2], s.lows[3]
    high_0, high_1, high_2, high_3 = s.highs[0], s.highs[1], s.highs[2], s.highs[3]
    most, least = 0, 0
    for at in range(s.access_use[WRITES, GROUPS] * GROUP):
        low, high, stamp = lows[at], highs[at], stamps[at]
        meets = ((low < high_0) & (low_0 < high)) | ((low < high_1) & (low_1 < high))
        meets |= ((low < high_2) & (low_2 < high)) | ((low < high_3) & (low_3 < high))
        most = max(most, stamp if meets else 0)
        least = max(least, stamp ^ LOW_BITS if meets else 0)
    return most, least


@inlined
def latest(s: Block, kind: int, low: int, high: int) -> tuple[int, int]:
    """The latest stamp of accesses to these bytes, plain and turned over."""
    stamps, lows, highs = s.access_stamps[kind], s.access_lows[kind], s.access_highs[kind]
    most, least = 0, 0
    for at in range(s.access_use[kind, GROUPS] * GROUP):
        stamp, meets = stamps[at], (lows[at] < high) & (low < highs[at])
        most = max(most, stamp if meets else 0)
        least = max(least, stamp ^ LOW_BITS if meets else 0)
    return most, least


@compiled
def first_engine(s: Block, form: int, end: int) -> int:
    """The engine of the access that counts, of several that are over at `end`."""
    for number in range(s.forms[form, Form.OPERANDS]):
        first = oldest(s, WRITES, s.lows[number], s.highs[number], end)
        if first == NONE and s.forms[form, Form.OPERAND + number * Operand.LENGTH + Operand.WRITE] != 0:
            first = oldest(s, READS, s.lows[number], s.highs[number], end)
        if first != NONE:
            return first & LOW_BITS
    return 0


@compiled
def oldest(s: Block, kind: int, low: int, high: int, end: int) -> int:
    """The place in the order, above the engine, of the oldest access to these bytes that is over at `end`; or NONE."""
    stamps, lows, highs, orders = (
        s.access_stamps[kind],
        s.access_lows[kind],
        s.access_highs[kind],
        s.access_orders[kind],
    )
    first = NONE
    for at in range(s.access_use[kind, GROUPS] * GROUP):
        meets = (lows[at] < high) & (low < highs[at]) & (stamps[at] >> ENGINE_BITS == end)
        first = min(first, orders[at] if meets else NONE)
    return first


@inlined
def add_access(s: Block, engine: int, low: int, high: int, write: int, finish: int, now: int) -> None:
    """Records an access that is over at `finish`. Nothing asks about times before `now` any more."""
    at = slot(s.access_stamps[write], s.access_use[write], now << ENGINE_BITS | LOW_BITS)
    s.access_stamps[write, at] = finish << ENGINE_BITS | engine - FIRST_ENGINE
    s.access_lows[write, at], s.access_highs[write, at] = low, high
    s.access_orders[write, at] = s.core[Core.SEQUENCE] << ENGINE_BITS | engine - FIRST_ENGINE
    s.core[Core.SEQUENCE] += 1
