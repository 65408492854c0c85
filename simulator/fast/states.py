"""The state of the clock as seen from now: everything that later times depend on, as a list of words relative to NOW.

What is over has no influence any more and is left out, so that states are equal as often as they are the same. States are kept in a
table and named by their row and one; 0 stands for one that is too long.
"""

from __future__ import annotations

import numpy as np

from isa.spec import Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import mixed
from simulator.fast.interlock import ENGINE_BITS, LOW_BITS
from simulator.fast.layout import ADDRESS_BITS, ENGINE_COUNT, Block, Core, Ints, Profile
from simulator.fast.sharing import promise
from simulator.fast.slots import GROUP, GROUPS, NEXT, slot
from simulator.fast.trace_layout import MAX_STATE_WORDS, MAX_STATES
from simulator.fast.turnaround import END, MASK, ORDER, START, is_last, remember_transfer

FIRST_ENGINE = 1
ENGINES_AT = 3
"""Where the words of the engines begin."""
KV = int(Region.KV)
TOO_LONG = MAX_STATE_WORDS + 1
FACTORS: Ints = np.random.default_rng(0).integers(-(1 << 62), 1 << 62, MAX_STATE_WORDS) | 1
"""Of each word in the hash of a state: a sum of products is quicker than a chain."""


@compiled
def current_state(s: Block, now: int, adds: bool) -> int:
    """The name of the state at `now`, or 0 if it has none; `adds`: it gets one."""
    s.state[1] = max(s.core[Core.FRONTIER] - now, 0)
    s.state[2] = max(s.core[Core.PRODUCTS] - now, 0)
    at = describe_engines(s, now, ENGINES_AT)
    for kind in range(2):
        at = describe_accesses(s, kind, now, at)
    for resource in range(2):
        at = describe_shares(s, resource, now, at)
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
def describe_accesses(s: Block, kind: int, now: int, at: int) -> int:
    """Those in flight, in their order: of each its place in the order, the end, and the bytes. Places are given away in turns,
    so from the next one on they are almost in order.
    """
    if at >= MAX_STATE_WORDS:
        return TOO_LONG
    stamps, orders, count_at = s.access_stamps[kind], s.access_orders[kind], at
    at, row, length = at + 1, s.access_use[kind, NEXT] - 1, s.access_use[kind, GROUPS] * GROUP
    for _ in range(length):
        row = row + 1 if row + 1 < length else 0
        end = stamps[row] >> ENGINE_BITS
        if end > now:
            if at + 4 > MAX_STATE_WORDS:
                return TOO_LONG
            order, place = orders[row] - (s.core[Core.SEQUENCE] << ENGINE_BITS), at
            while place > count_at + 1 and s.state[place - 4] > order:
                move_words(s.state, place - 4, place)
                place -= 4
            s.state[place], s.state[place + 1] = order, end - now
            s.state[place + 2], s.state[place + 3] = s.access_lows[kind, row], s.access_highs[kind, row]
            at += 4
    s.state[count_at] = (at - count_at - 1) // 4
    return at


@inlined
def move_words(words: Ints, source: int, target: int) -> None:
    for word in range(4):
        words[target + word] = words[source + word]


@compiled
def describe_shares(s: Block, resource: int, now: int, at: int) -> int:
    """What is promised from now on."""
    if at >= MAX_STATE_WORDS:
        return TOO_LONG
    ends, starts, shares, count_at = s.share_ends[resource], s.share_starts[resource], s.shares[resource], at
    at += 1
    for row in range(s.share_use[resource, GROUPS] * GROUP):
        if ends[row] > now:
            if at + 3 > MAX_STATE_WORDS:
                return TOO_LONG
            at = insert_share(s.state, count_at + 1, at, max(starts[row] - now, 0), ends[row] - now, shares[row])
    s.state[count_at] = (at - count_at - 1) // 3
    return at


@compiled
def insert_share(words: Ints, first: int, at: int, start: int, end: int, share: int) -> int:
    """Keeps shares in an order that does not depend on their places; returns where they end."""
    place = at
    while place > first and is_before(start, end, share, words[place - 3], words[place - 2], words[place - 1]):
        for word in range(3):
            words[place + word] = words[place + word - 3]
        place -= 3
    words[place], words[place + 1], words[place + 2] = start, end, share
    return at + 3


@inlined
def is_before(start: int, end: int, share: int, other_start: int, other_end: int, other_share: int) -> bool:
    if start != other_start:
        return start < other_start
    return end < other_end or (end == other_end and share < other_share)


@compiled
def describe_transfers(s: Block, now: int, at: int) -> int:
    """The last one that is over, as far back as it matters, and those that are not."""
    core, transfers, count_at = s.core, s.transfers, at
    load, store = first_in_flight(s, 0, now), first_in_flight(s, 1, now)
    loads, stores = s.transfer_count[0], s.transfer_count[1]
    if at + 1 + 3 * (1 + loads - load + stores - store) > MAX_STATE_WORDS:
        return TOO_LONG
    at += 1
    if load > 0 or store > 0:
        write = 0 if store == 0 or (load > 0 and is_last(s, 0, load - 1, store - 1)) else 1
        last = transfers[write, (store if write == 1 else load) - 1 & MASK, END]
        reach = max(core[Core.READ_TO_WRITE], core[Core.WRITE_TO_READ])
        reach = max(reach, max(core[Core.READ_REFRESH], core[Core.WRITE_REFRESH]))
        over = max(last - now, -reach)
        s.state[at], s.state[at + 1], s.state[at + 2] = over, over, write
        at += 3
    while load < loads or store < stores:
        is_load = store == stores or (
            load < loads and transfers[0, load & MASK, ORDER] < transfers[1, store & MASK, ORDER]
        )
        write, row = (0, load & MASK) if is_load else (1, store & MASK)
        s.state[at], s.state[at + 1] = max(transfers[write, row, START] - now, 0), transfers[write, row, END] - now
        s.state[at + 2] = write
        load, store = load + 1 - write, store + write
        at += 3
    s.state[count_at] = (at - count_at - 1) // 3
    return at


@compiled
def first_in_flight(s: Block, write: int, now: int) -> int:
    """The number of the first transfer in a direction that is not over."""
    number = s.transfer_count[write]
    while number > 0 and s.transfers[write, number - 1 & MASK, END] > now:
        number -= 1
    return number


@compiled
def interned(s: Block, adds: bool) -> int:
    """The name of `state`, a new one if wanted; 0 if there is none."""
    length, table, value = s.state[0], s.state_table, 0
    for place in range(length):
        value += s.state[place] * FACTORS[place]
    place = mixed(0, value) & table.size - 1
    while table[place] > 0:
        row, same = table[place] - 1, 0
        while same < length and s.states[row, same] == s.state[same]:
            same += 1
        if same == length:
            return row + 1
        place = place + 1 & table.size - 1
    row = s.core[Core.STATES]
    if row == MAX_STATES:
        s.core[Core.STALE] = 1
    if row == MAX_STATES or not adds:
        return 0
    s.state_anchored[row] = (
        1 if has_region(s.state, KV, ENGINES_AT + ENGINE_COUNT * (2 + s.core[Core.QUEUE_DEPTH])) else 0
    )
    for word in range(length):
        s.states[row, word] = s.state[word]
    s.core[Core.STATES] = row + 1
    table[place] = row + 1
    return row + 1


@compiled
def has_region(words: Ints, region: int, at: int) -> bool:
    """Whether there are accesses in flight in a region. `at`: where their words begin."""
    for _ in range(2):
        for number in range(words[at]):
            if words[at + 4 * number + 3] >> ADDRESS_BITS == region:
                return True
        at += 1 + 4 * words[at]
    return False


@compiled
def restore(s: Block, name: int, now: int) -> None:
    """Puts the clock into a state, as of `now`."""
    words, depth, at = s.states[name - 1], s.core[Core.QUEUE_DEPTH], ENGINES_AT
    s.core[Core.PRODUCTS] = now + words[2]
    for engine in range(FIRST_ENGINE, FIRST_ENGINE + ENGINE_COUNT):
        s.profile[engine, Profile.FREE], s.profile[engine, Profile.COMPUTED] = now + words[at], now + words[at + 1]
        s.profile[engine, Profile.HEAD] = 0
        for place in range(depth):
            s.starts[engine, place] = now + words[at + 2 + place]
        at += 2 + depth
    for kind in range(2):
        at = restore_accesses(s, kind, now, words, at)
    for resource in range(2):
        count = words[at]
        s.share_use[resource, GROUPS] = s.share_use[resource, NEXT] = 0
        for number in range(count):
            place = at + 1 + 3 * number
            promise(s, resource, now + words[place], now + words[place + 1], words[place + 2], now)
        at += 1 + 3 * count
    s.transfer_count[0] = s.transfer_count[1] = 0
    for number in range(words[at]):
        place = at + 1 + 3 * number
        remember_transfer(s, now + words[place], now + words[place + 1], words[place + 2])


@compiled
def restore_accesses(s: Block, kind: int, now: int, words: Ints, at: int) -> int:
    """Accesses with the distances they had in their order; returns where the words of what follows begin."""
    count, sequence = words[at], s.core[Core.SEQUENCE]
    s.access_use[kind, GROUPS] = s.access_use[kind, NEXT] = 0
    for number in range(count):
        place = at + 1 + 4 * number
        row = slot(s.access_stamps[kind], s.access_use[kind], now << ENGINE_BITS | LOW_BITS)
        s.access_stamps[kind, row] = now + words[place + 1] << ENGINE_BITS | words[place] & LOW_BITS
        s.access_lows[kind, row], s.access_highs[kind, row] = words[place + 2], words[place + 3]
        s.access_orders[kind, row] = (sequence << ENGINE_BITS) + words[place]
    return at + 1 + 4 * count
