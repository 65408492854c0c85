"""SEQ arithmetic and branches on the way of a trace: what of a result depends on its source, and what is decided by it."""

from __future__ import annotations

from typing import Any

from isa.spec import X_REGISTERS
from simulator.fast.compiled import compiled
from simulator.fast.layout import Block, Ints
from simulator.fast.scalar import ADD, DIV, EQ, LT, MUL, NE, REM, SLL, SUB, alu
from simulator.fast.trace_layout import GREATEST, LEAST
from simulator.fast.way import (
    NO_SOURCE,
    added_to,
    factor_of,
    is_factor,
    is_small,
    know,
    limit,
    set_number,
    source_of,
)

MAX_SHIFT = 24


@compiled
def follow_alu(s: Block, values: Ints, i: Any) -> bool:
    """Executes it; False if it traps."""
    op, a, b = i.op, int(i.rs), int(i.b)
    if DIV <= op <= REM and values[b] == 0:
        return False
    source, factor = NO_SOURCE, 0
    if ADD <= op <= SUB:
        source, factor = source_of_sum(s, a, b, 1 if op == ADD else -1)
    elif op == MUL and source_of(s, b) < 0 and is_factor(values[b]):
        source, factor = source_of(s, a), factor_of(s, a) * values[b]
    elif op == SLL and source_of(s, b) < 0 and 0 <= values[b] < MAX_SHIFT:
        source, factor = source_of(s, a), factor_of(s, a) << values[b]
    else:
        know(s, a)
        know(s, b)
    if not is_factor(factor):
        know(s, a)
        know(s, b)
        factor = 0
    if factor == 0:
        source = NO_SOURCE
    values[i.rd] = alu(op, values[a], values[b])
    set_number(s, i.rd, source, factor)
    return True


@compiled
def source_of_sum(s: Block, a: int, b: int, sign: int) -> tuple[int, int]:
    """Source and factor of a sum or a difference. Of two sources one remains, if one is likelier to be a pointer."""
    if source_of(s, a) >= 0 and source_of(s, b) >= 0 and source_of(s, a) != source_of(s, b):
        one, two = likelihood(s, a), likelihood(s, b)
        if one <= two:
            know(s, a)
        if two <= one:
            know(s, b)
    return max(source_of(s, a), source_of(s, b)), factor_of(s, a) + sign * factor_of(s, b)


@compiled
def likelihood(s: Block, register: int) -> int:
    """Whether a number is a pointer: what is scaled counts turns, what is read from tables is a place."""
    if factor_of(s, register) != 1:
        return 0
    return 2 if source_of(s, register) >= X_REGISTERS else 1


@compiled
def limits_branch(s: Block, values: Ints, i: Any, taken: bool) -> None:
    """What a branch decides: that a number is less than another one, or what it is."""
    a, b = int(i.rs), int(i.b)
    if EQ <= i.op <= NE or (source_of(s, a) >= 0) == (source_of(s, b) >= 0):
        know(s, a)
        know(s, b)
        return
    is_less = (i.op == LT) == taken  # a < b, else b <= a
    if source_of(s, a) >= 0:
        source, factor, border = source_of(s, a), factor_of(s, a), values[b]
        added = added_to(s, source, factor, values[a])
        is_upper, last = is_less, border - 1 if is_less else border
    else:
        source, factor, border = source_of(s, b), factor_of(s, b), values[a]
        added = added_to(s, source, factor, values[b])
        is_upper, last = not is_less, border + 1 if is_less else border
    if factor != 1 or not is_small(added) or not is_small(border):
        know(s, a)
        know(s, b)
    elif is_upper:
        limit(s, source, LEAST, last - added)
    else:
        limit(s, source, last - added, GREATEST)
