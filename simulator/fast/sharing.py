"""SRAM banks and the DRAM, shared by all engines: the rules of simulator/timing/resource.py on arrays.

What older instructions were promised of a resource is a list of shares from one cycle to another.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_SHARES, Block
from simulator.fast.slots import GROUP, GROUPS, slot
from simulator.timing.resource import WHOLE

SRAM, DRAM = 0, 1
NEVER = 1 << 62


@inlined
def has_room(s: Block) -> bool:
    """Whether there is room for what one instruction may be promised: one share more than promises begin or end."""
    groups = s.share_use[SRAM, GROUPS] + s.share_use[DRAM, GROUPS]
    return 3 * GROUP * (groups + 1) <= MAX_SHARES


@compiled
def taken(s: Block, resource: int, start: int, end: int) -> int:
    """The sum of the shares that somebody has at any time from start to end: at least what is taken at one time."""
    ends, starts, shares, total = s.share_ends[resource], s.share_starts[resource], s.shares[resource], 0
    for at in range(s.share_use[resource, GROUPS] * GROUP):
        share = shares[at]
        total += share if (ends[at] > start) & (starts[at] < end) else 0
    return total


@compiled
def promise(s: Block, resource: int, start: int, end: int, share: int, now: int) -> None:
    """Takes a share from start to end. Nothing is placed before `now` any more."""
    at = slot(s.share_ends[resource], s.share_use[resource], now)
    s.share_ends[resource, at], s.share_starts[resource, at], s.shares[resource, at] = end, start, share


@compiled
def place(s: Block, start: int, cycles: int, sram_share: int, dram_share: int, in_flight: int, now: int) -> int:
    """Runs `cycles` of work from `start` on with these shares at full speed; returns the cycle it is done. `in_flight`: cycles of the
    DRAM.
    """
    end = start + cycles
    if (sram_share > 0 and taken(s, SRAM, start, end) + sram_share > WHOLE) or (
        dram_share > 0 and taken(s, DRAM, start, end) + dram_share > WHOLE
    ):
        return place_slowed(s, start, cycles, sram_share, dram_share, in_flight, now)
    promise_both(s, start, end, sram_share, dram_share, WHOLE, now)
    return end


@compiled
def promise_both(s: Block, start: int, end: int, sram_share: int, dram_share: int, rate: int, now: int) -> None:
    """What work at this rate takes of both resources."""
    if sram_share > 0:
        promise(s, SRAM, start, end, (sram_share * rate + WHOLE - 1) // WHOLE, now)
    if dram_share > 0:
        promise(s, DRAM, start, end, (dram_share * rate + WHOLE - 1) // WHOLE, now)


@compiled
def place_slowed(s: Block, start: int, cycles: int, sram_share: int, dram_share: int, in_flight: int, now: int) -> int:
    """`place` where a resource may be scarce: stretch by stretch between the cycles where promises of it begin or end."""
    time, work, since, before = start, cycles * WHOLE, start, 0
    sram_is_scarce = sram_share > 0 and taken(s, SRAM, start, NEVER) + sram_share > WHOLE
    dram_is_scarce = dram_share > 0 and taken(s, DRAM, start, NEVER) + dram_share > WHOLE
    while work > 0:
        sram_rate, dram_rate, end = WHOLE, WHOLE, NEVER
        if sram_is_scarce:
            sram_rate, end = rate_at(s, SRAM, time, sram_share, WHOLE, end)
        if dram_is_scarce:
            dram_rate, end = rate_at(s, DRAM, time, dram_share, WHOLE, end)
        rate = min(sram_rate, dram_rate)
        if dram_rate < sram_rate and rate < before and work <= in_flight * WHOLE * WHOLE // dram_share:
            owe(s, (sram_rate - dram_rate) * dram_share * ((work + sram_rate - 1) // sram_rate), now)
            rate, end = sram_rate, NEVER
        if rate != before:
            if before > 0:
                promise_both(s, since, time, sram_share, dram_share, before, now)
            since, before = time, rate
        if rate > 0:
            end = min(end, time + (work + rate - 1) // rate)
            work -= (end - time) * rate
        time = end
    promise_both(s, since, time, sram_share, dram_share, before, now)
    return time


@compiled
def owe(s: Block, taken: int, now: int) -> None:
    """What is in flight when an older promise of the DRAM begins is served all the same, and takes as much after the last promise."""
    ends, last = s.share_ends[DRAM], now
    for at in range(s.share_use[DRAM, GROUPS] * GROUP):
        last = max(last, ends[at])
    promise(s, DRAM, last, last + (taken + WHOLE * WHOLE - 1) // (WHOLE * WHOLE), WHOLE, now)


@compiled
def rate_at(s: Block, resource: int, time: int, share: int, rate: int, end: int) -> tuple[int, int]:
    """The rate of work at a time, and the cycle until which nothing changes, if they are below `rate` and `end`."""
    ends, starts, shares, load = s.share_ends[resource], s.share_starts[resource], s.shares[resource], 0
    for at in range(s.share_use[resource, GROUPS] * GROUP):
        one, two, part = starts[at], ends[at], shares[at]
        load += part if (one <= time) & (time < two) else 0
        border = one if one > time else two
        end = min(end, border if border > time else NEVER)
    free = max(0, WHOLE - load)
    if free < share:
        rate = min(rate, free * WHOLE // share)
    return rate, end
