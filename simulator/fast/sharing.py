"""SRAM banks and the DRAM, shared by all engines: the rules of simulator/timing/resource.py, in another form.

What older instructions were promised of a resource is a function of time that changes in steps. Step k has a share of
`loads[k]` taken from `times[k]` to `times[k + 1]`; nothing is taken behind the last one.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_STEPS, Block, Ints
from simulator.timing.resource import WHOLE

SRAM, DRAM = 0, 1
FIRST, END = 0, 1  # columns of `steps`: those in use
COMPACT_AT = 512
NEVER = 1 << 62


@compiled
def has_room(s: Block, now: int) -> bool:
    """Forgets steps that are over. False if there is no room for the borders that one instruction adds."""
    used = 0
    for resource in (SRAM, DRAM):
        first, end, times = s.steps[resource, FIRST], s.steps[resource, END], s.times[resource]
        while first + 1 < end and times[first + 1] <= now:
            first += 1
        s.steps[resource, FIRST] = first
        if first >= COMPACT_AT:
            compact(times, s.loads[resource], first, end)
            s.steps[resource, FIRST], s.steps[resource, END] = 0, end - first
        used += s.steps[resource, END]
    return 2 * used + 4 <= MAX_STEPS


@compiled
def compact(times: Ints, loads: Ints, first: int, end: int) -> None:
    """Moves the steps to the beginning."""
    for step in range(first, end):
        times[step - first], loads[step - first] = times[step], loads[step]


@inlined
def step_at(s: Block, resource: int, time: int) -> int:
    """The step that contains a time, which is not before the first one."""
    step = s.steps[resource, END] - 1
    while s.times[resource, step] > time:
        step -= 1
    return step


@compiled
def begin_step(s: Block, resource: int, step: int, time: int) -> int:
    """Makes a step begin at a time within `step`; returns it."""
    times, loads = s.times[resource], s.loads[resource]
    if times[step] == time:
        return step
    end = s.steps[resource, END]
    for place in range(end, step + 1, -1):
        times[place], loads[place] = times[place - 1], loads[place - 1]
    times[step + 1], loads[step + 1] = time, loads[step]
    s.steps[resource, END] = end + 1
    return step + 1


@inlined
def is_free(s: Block, resource: int, step: int, end: int, share: int) -> bool:
    """Whether a share can be had from `step` on until the cycle `end`."""
    while step < s.steps[resource, END] and s.times[resource, step] < end:
        if s.loads[resource, step] + share > WHOLE:
            return False
        step += 1
    return True


@compiled
def promise(s: Block, resource: int, step: int, start: int, end: int, share: int) -> None:
    """Takes a share from start, in `step`, to end."""
    step = begin_step(s, resource, step, start)
    while step + 1 < s.steps[resource, END] and s.times[resource, step + 1] <= end:
        s.loads[resource, step] += share
        step += 1
    if s.times[resource, step] < end:
        begin_step(s, resource, step, end)
        s.loads[resource, step] += share


@compiled
def place(s: Block, start: int, cycles: int, sram_share: int, dram_share: int) -> int:
    """Runs `cycles` of work from `start` on with these shares at full speed; returns the cycle it is done."""
    end = start + cycles
    sram, dram = step_at(s, SRAM, start), step_at(s, DRAM, start)
    if (sram_share > 0 and not is_free(s, SRAM, sram, end, sram_share)) or (
        dram_share > 0 and not is_free(s, DRAM, dram, end, dram_share)
    ):
        return place_slowed(s, start, cycles, sram_share, dram_share)
    if sram_share > 0:
        promise(s, SRAM, sram, start, end, sram_share)
    if dram_share > 0:
        promise(s, DRAM, dram, start, end, dram_share)
    return end


@compiled
def place_slowed(s: Block, start: int, cycles: int, sram_share: int, dram_share: int) -> int:
    """`place` where a resource is scarce: stretch by stretch between the borders of the steps of both."""
    time, work = start, cycles * WHOLE
    while work > 0:
        sram, dram = step_at(s, SRAM, time), step_at(s, DRAM, time)
        rate, end = WHOLE, NEVER
        if sram_share > 0:
            rate, end = rate_in(s, SRAM, sram, sram_share, rate, end)
        if dram_share > 0:
            rate, end = rate_in(s, DRAM, dram, dram_share, rate, end)
        if rate > 0:
            end = min(end, time + (work + rate - 1) // rate)
            if sram_share > 0:
                promise(s, SRAM, sram, time, end, (sram_share * rate + WHOLE - 1) // WHOLE)
            if dram_share > 0:
                promise(s, DRAM, dram, time, end, (dram_share * rate + WHOLE - 1) // WHOLE)
            work -= (end - time) * rate
        time = end
    return time


@inlined
def rate_in(s: Block, resource: int, step: int, share: int, rate: int, end: int) -> tuple[int, int]:
    """The rate of work in a step and its end, if they are below `rate` and `end`."""
    free = max(0, WHOLE - s.loads[resource, step])
    if free < share:
        rate = min(rate, free * WHOLE // share)
    if step + 1 < s.steps[resource, END]:
        end = min(end, s.times[resource, step + 1])
    return rate, end
