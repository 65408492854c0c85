"""Transitions: what a trace does to the clock in a certain state, observed while it is executed (replay.py)."""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.counts import note_work
from simulator.fast.descriptors import mixed
from simulator.fast.layout import ENGINE_COUNT, Block, Core, Cost, Ints, Profile
from simulator.fast.lookup import enter
from simulator.fast.signatures import UNKNOWN, signature_of
from simulator.fast.states import FIRST_ENGINE, current_state
from simulator.fast.trace_layout import MAX_ITEMS, MAX_TRANSITIONS, Trace, Transition
from simulator.fast.traces import find_sources
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.profile import ENGINE_SLOTS

FIRST_CREDIT = 8
SMEM_ACTION = ACTION_INDEX["smem"]
OF_SEQ = 1 + ENGINE_SLOTS
OF_ENGINE = int(Profile.FREE)
COUNTERS = int(Transition.COUNTERS)


@compiled
def begin_observation(s: Block, values: Ints, row: int, state: int) -> None:
    """The program goes the way of a trace from the cut at PC on. Its sources are to be within their limits."""
    core, keys = s.core, s.traces[row, Trace.KEYS]
    if s.traces[row, Trace.CREDIT] <= 0:
        s.traces[row, Trace.MISSES] += 1
        if is_milestone(s.traces[row, Trace.MISSES], FIRST_CREDIT):
            s.traces[row, Trace.CREDIT] = FIRST_CREDIT
        return
    if core[Core.TRANSITIONS] == MAX_TRANSITIONS:
        core[Core.STALE] = 1
        return
    if not find_sources(s, values, row):
        return
    s.traces[row, Trace.CREDIT] -= 1
    core[Core.OBSERVED], core[Core.NOTED], core[Core.OBSERVED_AT] = row + 1, 0, core[Core.NOW]
    core[Core.OBSERVED_MOVED] = core[Core.MOVED]
    core[Core.OBSERVED_CUTS], core[Core.OBSERVED_COSTS] = s.traces[row, Trace.CUTS], 0
    for number in range(keys):
        s.observed_places[number] = s.places[number]
    core[Core.OBSERVED_FROM] = state if state > 0 else current_state(s, core[Core.NOW], True)
    core[Core.OBSERVED_FRONTIER] = core[Core.FRONTIER]
    for place in range(s.counters.size):
        s.counters[place] = 0
    subtract_counters(s)


@inlined
def is_milestone(count: int, first: int) -> bool:
    """A power of two, `first` or more: what did not prove useful is tried again, ever more seldom."""
    return count >= first and count & count - 1 == 0


@compiled
def end_observation(s: Block, state: int) -> int:
    """The program has come to the end of the trace. Notes the transition; returns the state, which may be known already."""
    core, row = s.core, s.core[Core.OBSERVED] - 1
    state = state if state > 0 else current_state(s, core[Core.NOW], True)
    is_alike = core[Core.PC] == s.traces[row, Trace.END] and core[Core.NOTED] == s.traces[row, Trace.ENGINES]
    costs, signature = core[Core.OBSERVED_COSTS], UNKNOWN
    stays = in_flight(s, row, state) | in_flight(s, row, core[Core.OBSERVED_FROM])
    if is_alike and min(state, core[Core.OBSERVED_FROM]) > 0 and (stays == 0 or core[Core.OBSERVED_MOVED] == 0):
        for number in range(s.traces[row, Trace.KEYS]):
            s.places[number] = s.observed_places[number]
        signature = signature_of(s, row)
    if signature != UNKNOWN and core[Core.ITEMS] + 3 * costs <= MAX_ITEMS:
        target, new = s.transitions[core[Core.TRANSITIONS]], core[Core.TRANSITIONS]
        target[Transition.SIGNATURE], target[Transition.NEXT], target[Transition.STAYS] = signature, state, stays
        enter(s.transition_table, transition_hash(core[Core.OBSERVED_FROM], row, signature), new)
        core[Core.TRANSITIONS] += 1
        note_transition(s, row, target)
    leave_observation(s)
    return state


@inlined
def in_flight(s: Block, row: int, state: int) -> int:
    """Whether there are keys or values in flight in a state: a trace that accesses any meets these only where it did before."""
    return 0 if state <= 0 else s.traces[row, Trace.IS_ANCHORED] & s.state_anchored[state - 1]


@compiled
def leave_observation(s: Block) -> None:
    """Nothing is observed from now on."""
    for place in range(s.core[Core.OBSERVED_COSTS]):
        s.tally[s.observed_work[place, 0]] = 0
    s.core[Core.OBSERVED] = s.core[Core.OBSERVED_COSTS] = 0


@compiled
def note_transition(s: Block, row: int, target: Ints) -> None:
    """What was observed of a trace."""
    core = s.core
    target[Transition.STATE], target[Transition.TRACE], target[Transition.USES] = core[Core.OBSERVED_FROM], row, 0
    target[Transition.USED] = 0
    target[Transition.CYCLES] = core[Core.NOW] - core[Core.OBSERVED_AT]
    finished = core[Core.FRONTIER] != core[Core.OBSERVED_FRONTIER]
    target[Transition.FRONTIER] = core[Core.FRONTIER] - core[Core.OBSERVED_AT] if finished else 0
    for action in range(s.actions.size):
        target[Transition.ACTIONS + action] = 0
    target[Transition.ACTIONS + SMEM_ACTION] = s.traces[row, Trace.SMEM_BYTES]
    keep_work(s, target)
    subtract_counters(s)
    for place in range(s.counters.size):
        target[COUNTERS + place] = s.counters[place]


@compiled
def keep_work(s: Block, target: Ints) -> None:
    """What the engine instructions that were noted cost and count."""
    at = s.core[Core.ITEMS]
    target[Transition.WORK], target[Transition.COSTS] = at, s.core[Core.OBSERVED_COSTS]
    for place in range(s.core[Core.OBSERVED_COSTS]):
        cost = s.observed_work[place, 0]
        for column in range(3):
            s.items[at + column] = s.observed_work[place, column]
        at += 3
        for pair in range(s.costs[cost, Cost.ACTIONS]):
            action = Cost.ACTION + 2 * pair
            target[Transition.ACTIONS + s.costs[cost, action]] += s.observed_work[place, 1] * s.costs[cost, action + 1]
    s.core[Core.ITEMS] = at


@compiled
def note_passed(s: Block, row: int, transition: int) -> None:
    """A shorter trace was passed over on the way of the one that is observed."""
    at = s.transitions[transition, Transition.WORK]
    for _ in range(s.transitions[transition, Transition.COSTS]):
        note_work(s, s.items[at], s.items[at + 1], s.items[at + 2])
        at += 3
    s.core[Core.NOTED] += s.traces[row, Trace.ENGINES]


@compiled
def subtract_counters(s: Block) -> None:
    """`counters` become what the counters are now, less what they were."""
    at, counters = OF_SEQ, s.counters
    counters[0] = s.core[Core.SMEM_WAIT] - counters[0]
    for engine in range(ENGINE_SLOTS):
        counters[1 + engine] = s.core[Core.QUEUE_FULL + engine] - counters[1 + engine]
    for engine in range(FIRST_ENGINE, FIRST_ENGINE + ENGINE_COUNT):
        for column in range(OF_ENGINE):
            counters[at + column] = s.profile[engine, column] - counters[at + column]
        at += OF_ENGINE


@compiled
def find_transition(s: Block, state: int, row: int) -> int:
    """The row of what the trace does in a state with its sources at `places`, or -1."""
    if state <= 0:
        return UNKNOWN
    signature = signature_of(s, row)
    if signature == UNKNOWN:
        return UNKNOWN
    table = s.transition_table
    place = transition_hash(state, row, signature) & table.size - 1
    while table[place] > 0:
        found = s.transitions[table[place] - 1]
        if (
            found[Transition.STATE] == state
            and found[Transition.TRACE] == row
            and found[Transition.SIGNATURE] == signature
            and (found[Transition.STAYS] == 0 or s.core[Core.MOVED] == 0)
        ):
            return table[place] - 1
        place = place + 1 & table.size - 1
    return UNKNOWN


@inlined
def transition_hash(state: int, row: int, signature: int) -> int:
    return mixed(mixed(state, row), signature)
