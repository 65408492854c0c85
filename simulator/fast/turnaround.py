"""Cycles lost between DRAM transfers: the rules of simulator/timing/turnaround.py on arrays.

Each direction has an engine of its own, which works in order: its transfers begin and end one after the other.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import RECENT_TRANSFERS, Block, Core

START, END, ORDER = 0, 1, 2  # columns of a transfer
MASK = RECENT_TRANSFERS - 1
"""Later than any time that is asked about there begin at most as many transfers as a queue holds, and older ones than the one
before these do not matter.
"""


@compiled
def extra_cycles(s: Block, start: int, write: int) -> int:
    """What a transfer that begins at `start` takes longer because of the one before it and the one after it."""
    transfers, own, other = s.transfers, s.transfer_count[write], s.transfer_count[1 - write]
    at = other - 1
    while at >= 0 and transfers[1 - write, at & MASK, START] > start:
        at -= 1
    turns, idle = False, refresh_cycles(s, write)
    if own > 0:
        idle = max(0, start - transfers[write, own - 1 & MASK, END])
    if at >= 0 and (own == 0 or is_last(s, 1 - write, at, own - 1)):
        turns, idle = True, max(0, start - transfers[1 - write, at & MASK, END])
    extra = max(0, gap(s, write) - idle) if turns else refresh_wait(s, write, idle)
    if at + 1 < other:
        extra += gap(s, 1 - write)
    return extra


@inlined
def is_last(s: Block, direction: int, one: int, two: int) -> bool:
    """Whether a transfer in this direction is over later than one in the other, or as late and is the older one."""
    first, second = s.transfers[direction, one & MASK], s.transfers[1 - direction, two & MASK]
    return first[END] > second[END] or (first[END] == second[END] and first[ORDER] < second[ORDER])


@inlined
def gap(s: Block, write: int) -> int:
    """Cycles before a transfer in this direction after one in the other."""
    return s.core[Core.READ_TO_WRITE] if write else s.core[Core.WRITE_TO_READ]


@inlined
def refresh_cycles(s: Block, write: int) -> int:
    """Cycles without transfers in this direction around a refresh."""
    return s.core[Core.WRITE_REFRESH] if write else s.core[Core.READ_REFRESH]


@inlined
def refresh_wait(s: Block, write: int, idle: int) -> int:
    """The mean of what is left of a refresh that was due in the idle cycles before a transfer."""
    cycles = refresh_cycles(s, write)
    idle = min(idle, cycles)
    return (cycles * idle - idle * idle // 2) // s.core[Core.REFRESH_INTERVAL]


@inlined
def remember_transfer(s: Block, start: int, end: int, write: int) -> None:
    """The newest one of its direction."""
    number = s.transfer_count[write]
    s.transfers[write, number & MASK, START], s.transfers[write, number & MASK, END] = start, end
    s.transfers[write, number & MASK, ORDER] = s.transfer_count[0] + s.transfer_count[1]
    s.transfer_count[write] = number + 1
