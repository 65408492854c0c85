"""Lists of what is pending, one array for each column: an entry that is over leaves its place to a new one.

So lists stay as short as what is pending, need no clearing up, and their lengths are whole groups, which the compiler
turns into loops without a remainder over vectors of numbers. Places that are over are still read; whoever reads them
compares with a cycle that is not before NOW.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Ints

GROUP = 16
GROUPS, NEXT = 0, 1  # columns of the use of a list: groups of places, and the place to look at first


@inlined
def slot(ends: Ints, use: Ints, now: int) -> int:
    """A place that is over at `now`; the list grows if there is none. The caller has made sure that it may."""
    at, length = use[NEXT], use[GROUPS] * GROUP
    for _ in range(length):
        if at >= length:
            at, length = 0, trimmed(ends, use, now) * GROUP
        if ends[at] <= now:
            use[NEXT] = at + 1
            return at
        at += 1
    return grown(ends, use)


@compiled
def grown(ends: Ints, use: Ints) -> int:
    """One more group; returns its first place."""
    first = use[GROUPS] * GROUP
    for place in range(GROUP):
        ends[first + place] = 0
    use[GROUPS], use[NEXT] = use[GROUPS] + 1, first + 1
    return first


@compiled
def trimmed(ends: Ints, use: Ints, now: int) -> int:
    """Drops groups at the end, as long as all in them is over; returns how many are left, at least one."""
    groups = use[GROUPS]
    while groups > 1 and is_over(ends, (groups - 1) * GROUP, now):
        groups -= 1
    use[GROUPS] = groups
    return groups


@compiled
def is_over(ends: Ints, first: int, now: int) -> bool:
    """Whether a group is over."""
    latest = now
    for place in range(GROUP):
        latest = max(latest, ends[first + place])
    return latest == now
