"""The state of the clock as seen from now: everything that later times depend on, as a list of words relative to NOW.

What is over has no influence any more and is left out, so that states are equal as often as they are the same. States are kept in a
table and named by their row and one; 0 stands for one that is too long.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled
from simulator.fast.descriptors import mixed
from simulator.fast.layout import ENGINE_COUNT, MAX_STATE_WORDS, MAX_STATES, RINGS, Access, Block, Core, Profile
from simulator.fast.sharing import END as STEPS_END
from simulator.fast.sharing import FIRST as STEPS_FIRST
from simulator.fast.sharing import step_at
from simulator.fast.turnaround import END, FEW, IN_USE, PRUNE_AT, START, WRITE

FIRST_ENGINE = 1
TOO_LONG = MAX_STATE_WORDS + 1


@compiled
def current_state(s: Block, now: int, adds: bool) -> int:
    """The name of the state at `now`, or 0 if it has none; `adds`: it gets one."""
    s.state[1] = max(s.core[Core.FRONTIER] - now, 0)
    at = describe_engines(s, now, 2)
    for ring in range(RINGS):
        at = describe_ring(s, ring, now, at)
    for resource in range(2):
        at = describe_steps(s, resource, now, at)
    at = describe_transfers(s, now, at)
    s.state[0] = at
    return interned(s, adds) if at <= MAX_STATE_WORDS else 0


@compiled
def describe_engines(s: Block, now: int, at: int) -> int:
    depth = s.core[Core.QUEUE_DEPTH]
    for engine in range(FIRST_ENGINE, FIRST_ENGINE + ENGINE_COUNT):
        s.state[at] = max(s.profile[engine, Profile.FREE] - now, 0)
        s.state[at + 1] = max(s.profile[engine, Profile.COMPUTED] - now, 0)
        at += 2
        head = s.profile[engine, Profile.HEAD]
        for place in range(depth):  # the oldest one first
            s.state[at + place] = max(s.starts[engine, (head + place) % depth] - now, 0)
        at += depth
    return at


@compiled
def describe_ring(s: Block, ring: int, now: int, at: int) -> int:
    """The accesses that are not over."""
    mask, end = s.core[Core.RING_MASK], s.ring_ends[ring]
    first, lowest = end, max(0, end - mask - 1)
    while first > lowest and s.accesses[ring, first - 1 & mask, Access.PEAK] > now:
        first -= 1
    if at + 1 + 4 * (end - first) > MAX_STATE_WORDS:
        return TOO_LONG
    count_at = at
    at += 1
    for number in range(first, end):
        row = number & mask
        if s.accesses[ring, row, Access.FINISH] > now:
            s.state[at] = s.accesses[ring, row, Access.FINISH] - now
            s.state[at + 1], s.state[at + 2] = s.accesses[ring, row, Access.LOW], s.accesses[ring, row, Access.HIGH]
            s.state[at + 3] = s.accesses[ring, row, Access.ORDER] - s.core[Core.SEQUENCE]
            at += 4
    s.state[count_at] = (at - count_at - 1) // 4
    return at


@compiled
def describe_steps(s: Block, resource: int, now: int, at: int) -> int:
    """What is promised from now on."""
    first, end = step_at(s, resource, now), s.steps[resource, STEPS_END]
    if at + 1 + 2 * (end - first) > MAX_STATE_WORDS:
        return TOO_LONG
    s.state[at] = end - first
    at += 1
    for step in range(first, end):
        s.state[at], s.state[at + 1] = max(s.times[resource, step] - now, 0), s.loads[resource, step]
        at += 2
    return at


@compiled
def describe_transfers(s: Block, now: int, at: int) -> int:
    """The last one that is over, as far back as it matters, and those that are not."""
    core, transfers, last, count_at = s.core, s.transfers, -1, at
    if at + 1 + 3 * (s.transfer_count[IN_USE] + 1) > MAX_STATE_WORDS:
        return TOO_LONG
    at += 1
    for row in range(s.transfer_count[IN_USE]):
        if transfers[row, END] <= now and (last < 0 or transfers[row, END] > transfers[last, END]):
            last = row
    if last >= 0:
        reach = max(core[Core.READ_TO_WRITE], core[Core.WRITE_TO_READ])
        reach = max(reach, max(core[Core.READ_REFRESH], core[Core.WRITE_REFRESH]))
        over = max(transfers[last, END] - now, -reach)
        s.state[at], s.state[at + 1], s.state[at + 2] = over, over, transfers[last, WRITE]
        at += 3
    for row in range(s.transfer_count[IN_USE]):
        if transfers[row, END] > now:
            s.state[at], s.state[at + 1] = max(transfers[row, START] - now, 0), transfers[row, END] - now
            s.state[at + 2] = transfers[row, WRITE]
            at += 3
    s.state[count_at] = (at - count_at - 1) // 3
    return at


@compiled
def interned(s: Block, adds: bool) -> int:
    """The name of `state`, a new one if wanted; 0 if there is none."""
    length, table, value = s.state[0], s.state_table, 0
    for place in range(length):
        value = mixed(value, s.state[place])
    place = value & table.size - 1
    while table[place] > 0:
        row, same = table[place] - 1, 0
        while same < length and s.states[row, same] == s.state[same]:
            same += 1
        if same == length:
            return row + 1
        place = place + 1 & table.size - 1
    row = s.core[Core.STATES]
    if row == MAX_STATES or not adds:
        return 0
    for word in range(length):
        s.states[row, word] = s.state[word]
    s.core[Core.STATES] = row + 1
    table[place] = row + 1
    return row + 1


@compiled
def restore(s: Block, name: int, now: int) -> None:
    """Puts the clock into a state, as of `now`."""
    words, depth, at = s.states[name - 1], s.core[Core.QUEUE_DEPTH], 2
    for engine in range(FIRST_ENGINE, FIRST_ENGINE + ENGINE_COUNT):
        s.profile[engine, Profile.FREE], s.profile[engine, Profile.COMPUTED] = now + words[at], now + words[at + 1]
        s.profile[engine, Profile.HEAD] = 0
        for place in range(depth):
            s.starts[engine, place] = now + words[at + 2 + place]
        at += 2 + depth
    for ring in range(RINGS):
        at = restore_ring(s, ring, now, name - 1, at)
    for resource in range(2):
        count = words[at]
        s.steps[resource, STEPS_FIRST], s.steps[resource, STEPS_END] = 0, count
        for step in range(count):
            s.times[resource, step], s.loads[resource, step] = now + words[at + 1 + 2 * step], words[at + 2 + 2 * step]
        at += 1 + 2 * count
    count = words[at]
    for row in range(count):
        for column in range(3):
            s.transfers[row, column] = words[at + 1 + 3 * row + column] + (0 if column == WRITE else now)
    s.transfer_count[IN_USE] = count
    s.transfer_count[PRUNE_AT] = max(FEW, 2 * count)


@compiled
def restore_ring(s: Block, ring: int, now: int, row: int, at: int) -> int:
    words, count, peak = s.states[row], s.states[row, at], now
    at += 1
    for place in range(count):
        finish = now + words[at]
        peak = max(peak, finish)
        s.accesses[ring, place, Access.FINISH], s.accesses[ring, place, Access.PEAK] = finish, peak
        s.accesses[ring, place, Access.LOW], s.accesses[ring, place, Access.HIGH] = words[at + 1], words[at + 2]
        s.accesses[ring, place, Access.ORDER] = s.core[Core.SEQUENCE] + words[at + 3]
        at += 4
    s.ring_ends[ring], s.ring_peaks[ring] = count, peak
    return at
