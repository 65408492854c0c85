"""Transitions: what a trace does to the clock in a certain state, observed while it is executed (replay.py)."""

from __future__ import annotations

from isa.spec import X_REGISTERS
from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import mixed
from simulator.fast.layout import ENGINE_COUNT, Block, Core, Cost, Ints, Profile
from simulator.fast.lookup import enter
from simulator.fast.states import FIRST_ENGINE, current_state
from simulator.fast.trace_layout import MAX_ITEMS, MAX_TRANSITIONS, Trace, Transition
from simulator.fast.traces import SMEM_ACTION, limit_sources
from simulator.timing.profile import ENGINE_SLOTS

FIRST_CREDIT = 8
MAX_SOURCES = X_REGISTERS
OF_SEQ = 1 + ENGINE_SLOTS
OF_ENGINE = int(Profile.FREE)
COUNTERS = int(Transition.COUNTERS)


@compiled
def begin_observation(s: Block, values: Ints, row: int, state: int) -> None:
    """The program goes the way of a trace from the cut at PC on."""
    core = s.core
    if s.traces[row, Trace.CREDIT] <= 0:
        s.traces[row, Trace.MISSES] += 1
        if is_milestone(s.traces[row, Trace.MISSES], FIRST_CREDIT):
            s.traces[row, Trace.CREDIT] = FIRST_CREDIT
        return
    if core[Core.TRANSITIONS] == MAX_TRANSITIONS:
        return
    s.traces[row, Trace.CREDIT] -= 1
    core[Core.OBSERVED], core[Core.NOTED], core[Core.OBSERVED_AT] = row + 1, 0, core[Core.NOW]
    core[Core.OBSERVED_CUTS] = s.traces[row, Trace.CUTS]
    keep_places(s, values, row)
    core[Core.OBSERVED_FROM] = state if state > 0 else current_state(s, core[Core.NOW], True)
    core[Core.OBSERVED_FRONTIER] = core[Core.FRONTIER]
    for place in range(s.counters.size):
        s.counters[place] = 0
    subtract_counters(s)


@inlined
def keep_places(s: Block, values: Ints, row: int) -> None:
    """Where the sources of the observed trace are."""
    at = s.traces[row, Trace.SOURCES]
    for number in range(s.traces[row, Trace.SOURCES + 1]):
        s.observed_places[number] = values[s.items[at]] & s.core[Core.PERIOD_MASK]
        at += 3


@inlined
def is_milestone(count: int, first: int) -> bool:
    """A power of two, `first` or more: what did not prove useful is tried again, ever more seldom."""
    return count >= first and count & count - 1 == 0


@compiled
def end_observation(s: Block) -> int:
    """The program has come to the next cut. Notes the transition; returns the state."""
    core, row = s.core, s.core[Core.OBSERVED] - 1
    core[Core.OBSERVED] = 0
    state, engines = current_state(s, core[Core.NOW], True), s.traces[row, Trace.ENGINES]
    alike = core[Core.PC] == s.traces[row, Trace.END] and core[Core.NOTED] == engines
    if (
        not alike
        or min(state, core[Core.OBSERVED_FROM]) == 0
        or core[Core.ITEMS] + 3 * engines + MAX_SOURCES > MAX_ITEMS
    ):
        return state
    if s.traces[row, Trace.IS_KNOWN] == 0:
        limit_sources(s, row)
    target = s.transitions[core[Core.TRANSITIONS]]
    target[Transition.PLACES] = core[Core.ITEMS]
    for number in range(s.traces[row, Trace.SOURCES + 1]):
        s.places[number] = s.observed_places[number]
        s.items[core[Core.ITEMS]] = s.places[number]
        core[Core.ITEMS] += 1
    enter(s.transition_table, transition_hash(s, core[Core.OBSERVED_FROM], row), core[Core.TRANSITIONS])
    core[Core.TRANSITIONS] += 1
    note_transition(s, row, target)
    target[Transition.NEXT] = state
    return state


@compiled
def note_transition(s: Block, row: int, target: Ints) -> None:
    """What was observed of a trace."""
    core = s.core
    target[Transition.STATE], target[Transition.TRACE], target[Transition.USES] = core[Core.OBSERVED_FROM], row, 0
    target[Transition.USED] = 0
    target[Transition.CYCLES] = core[Core.NOW] - core[Core.OBSERVED_AT]
    finished = core[Core.FRONTIER] != core[Core.OBSERVED_FRONTIER]
    target[Transition.FRONTIER] = core[Core.FRONTIER] - core[Core.OBSERVED_AT] if finished else 0
    target[Transition.WORK] = core[Core.ITEMS]
    for action in range(s.actions.size):
        target[Transition.ACTIONS + action] = 0
    target[Transition.ACTIONS + SMEM_ACTION] = s.traces[row, Trace.SMEM_BYTES]
    add_up_work(s, target, s.traces[row, Trace.ENGINES])
    subtract_counters(s)
    for place in range(s.counters.size):
        target[COUNTERS + place] = s.counters[place]


@compiled
def add_up_work(s: Block, target: Ints, engines: int) -> None:
    """What the engine instructions that were noted cost and count."""
    items, first = s.items, s.core[Core.ITEMS]
    at = first
    for number in range(engines):
        cost = s.noted[1, number]
        if s.tally[cost] == 0:
            items[at], items[at + 1], items[at + 2] = cost, 0, 0
            at += 3
            s.tally[cost] = at
        items[s.tally[cost] - 2] += 1
        items[s.tally[cost] - 1] += s.noted[2, number]
    target[Transition.COSTS] = (at - first) // 3
    s.core[Core.ITEMS] = at
    while at > first:
        at -= 3
        cost = items[at]
        s.tally[cost] = 0
        for pair in range(s.costs[cost, Cost.ACTIONS]):
            action = Cost.ACTION + 2 * pair
            target[Transition.ACTIONS + s.costs[cost, action]] += items[at + 1] * s.costs[cost, action + 1]


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
        return -1
    table, place = s.transition_table, transition_hash(s, state, row) & s.transition_table.size - 1
    while table[place] > 0:
        found = table[place] - 1
        if s.transitions[found, Transition.STATE] == state and s.transitions[found, Transition.TRACE] == row:
            at, number, sources = s.transitions[found, Transition.PLACES], 0, s.traces[row, Trace.SOURCES + 1]
            while number < sources and s.items[at + number] == s.places[number]:
                number += 1
            if number == sources:
                return found
        place = place + 1 & table.size - 1
    return -1


@compiled
def transition_hash(s: Block, state: int, row: int) -> int:
    value = mixed(state, row)
    for number in range(s.traces[row, Trace.SOURCES + 1]):
        value = mixed(value, s.places[number])
    return value
