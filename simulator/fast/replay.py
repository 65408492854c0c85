"""Extrapolation of timing-only runs: what was executed before from the same registers and in the same state of the clock is not
executed again (docs/timing.md, section 10).

The program is cut behind backward branches. A trace is a way from one cut to the next; a transition is what it does to the clock
in a certain state. The first time a trace is executed as usual and observed; from then on, the transition is looked up.
"""

from __future__ import annotations

from isa.spec import X_REGISTERS
from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import mixed
from simulator.fast.layout import (
    ENGINE_COUNT,
    MAX_COUNT,
    MAX_CYCLE,
    MAX_ITEMS,
    MAX_TRANSITIONS,
    Block,
    ByPc,
    Core,
    Cost,
    Exit,
    Ints,
    Profile,
    Trace,
    Transition,
)
from simulator.fast.lookup import enter
from simulator.fast.states import FIRST_ENGINE, current_state, restore
from simulator.fast.traces import SMEM_ACTION, applies, find_places, find_trace, leave_results, limit_sources
from simulator.timing.profile import ENGINE_SLOTS

TRACE = int(Exit.TRACE)
FIRST_CREDIT, REWARD, MAX_CREDIT = 8, 2, 64
USEFUL = 8
"""A trace that was passed over so often was worth its making."""
GROW_AT, MAX_GROWN = 16, 4
"""A longer trace is made of one that was passed over so often, and as often as it has instructions: making one takes the time of
many passes, so it must be a part of the program that comes by more often than once in a token.
"""
UNKNOWN = -1
OF_SEQ = 1 + ENGINE_SLOTS
OF_ENGINE = int(Profile.FREE)
COUNTERS = int(Transition.COUNTERS)
MAX_SOURCES = X_REGISTERS


@compiled
def arrive(s: Block, values: Ints, by_pc: Ints) -> int:
    """Goes on from a cut, PC, as far as that is known. Returns 0, or Exit.TRACE if a trace from there on is to be made."""
    core = s.core
    before = core[Core.OBSERVED]
    if before > 0 and core[Core.OBSERVED_CUTS] > 1:
        core[Core.OBSERVED_CUTS] -= 1
        return 0
    state = end_observation(s) if before > 0 else UNKNOWN
    passed, trace, grows = False, 0, False
    while core[Core.NOW] < MAX_CYCLE // 2 and core[Core.FULL] == 0:
        trace = find_longest(s, values, by_pc, core[Core.PC], before)
        if trace == 0:
            break
        if state == UNKNOWN:
            state = current_state(s, core[Core.NOW], False)
        known, transition = find_known(s, values, trace, state)
        if known == 0 or (known != trace and s.traces[trace - 1, Trace.CREDIT] > 0):
            break
        grows = (not passed or s.traces[before - 1, Trace.LONGER] != 0) and is_to_grow(s, by_pc, known - 1)
        if grows:
            break
        pass_over(s, values, by_pc, known - 1, transition)
        state, passed, before = s.transitions[transition, Transition.NEXT], True, known
    if passed:
        restore(s, state, core[Core.NOW])
    core[Core.GROWING] = 0
    if grows:
        core[Core.GROWING] = trace
        return TRACE
    if trace > 0:
        begin_observation(s, values, trace - 1, state)
        return 0
    return TRACE if deserves_trace(by_pc, core[Core.PC], core[Core.HOT_VISITS]) else 0


@compiled
def find_longest(s: Block, values: Ints, by_pc: Ints, pc: int, before: int) -> int:
    """The row and one of the longest trace that the program goes from here on, or 0."""
    name = find_trace(s, values, by_pc, pc, before)
    if name > 0:
        longer = s.traces[name - 1, Trace.LONGER]
        while longer > 0 and applies(s, values, longer - 1):
            name = longer
            longer = s.traces[name - 1, Trace.LONGER]
        if before > 0:
            s.traces[before - 1, Trace.SUCCESSOR] = name
    return name


@compiled
def find_known(s: Block, values: Ints, name: int, state: int) -> tuple[int, int]:
    """The longest trace that begins like this one, and the transition that it makes; or (0, -1)."""
    transition = -1
    while name > 0:
        if s.traces[name - 1, Trace.IS_KNOWN] != 0 and s.traces[name - 1, Trace.INSTRUCTIONS] < s.core[Core.STEPS]:
            if find_places(s, values, name - 1):
                transition = find_transition(s, state, name - 1)
                if transition >= 0:
                    break
        name = s.traces[name - 1, Trace.SHORTER]
        if name > 0 and not applies(s, values, name - 1):
            name = 0
    return name, transition


@inlined
def is_to_grow(s: Block, by_pc: Ints, row: int) -> bool:
    """A trace that is passed over often is to become longer, once; at each place a few, more as these prove useful."""
    pc, wanted = s.traces[row, Trace.BEGIN], max(GROW_AT, s.traces[row, Trace.INSTRUCTIONS])
    if s.traces[row, Trace.LONGER] != 0 or s.traces[row, Trace.PASSES] < wanted or by_pc[pc, ByPc.GROWN] >= MAX_GROWN:
        return False
    by_pc[pc, ByPc.GROWN] += 1
    return True


@inlined
def deserves_trace(by_pc: Ints, pc: int, hot: int) -> bool:
    """A place that is visited often gets a few traces, more as new ones prove useful, and a few again after twice as many visits."""
    by_pc[pc, ByPc.VISITS] += 1
    if is_milestone(by_pc[pc, ByPc.VISITS], hot):
        by_pc[pc, ByPc.CREDIT] = max(by_pc[pc, ByPc.CREDIT], FIRST_CREDIT)
    if by_pc[pc, ByPc.CREDIT] <= 0:
        return False
    by_pc[pc, ByPc.CREDIT] -= 1
    return True


@inlined
def is_milestone(count: int, first: int) -> bool:
    """A power of two, `first` or more: what did not prove useful is tried again, ever more seldom."""
    return count >= first and count & count - 1 == 0


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


@compiled
def pass_over(s: Block, values: Ints, by_pc: Ints, row: int, transition: int) -> None:
    """Everything that executing the trace would do, but for the state of the clock."""
    core, changes, pc = s.core, s.transitions[transition], s.core[Core.PC]
    s.traces[row, Trace.PASSES] += 1
    if s.traces[row, Trace.PASSES] == USEFUL:
        by_pc[pc, ByPc.CREDIT] = min(by_pc[pc, ByPc.CREDIT] + REWARD, MAX_CREDIT)
        by_pc[pc, ByPc.GROWN] -= REWARD if s.traces[row, Trace.SHORTER] > 0 else 0
    if changes[Transition.USED] == 0:
        changes[Transition.USED] = 1
        s.traces[row, Trace.CREDIT] = min(s.traces[row, Trace.CREDIT] + REWARD, MAX_CREDIT)
    leave_results(s, values, by_pc, row)
    if changes[Transition.FRONTIER] > 0:
        core[Core.FRONTIER] = max(core[Core.FRONTIER], core[Core.NOW] + changes[Transition.FRONTIER])
    core[Core.NOW] += changes[Transition.CYCLES]
    core[Core.STEPS] -= s.traces[row, Trace.INSTRUCTIONS]
    core[Core.PASSED] += s.traces[row, Trace.INSTRUCTIONS]
    core[Core.PC] = s.traces[row, Trace.END]
    changes[Transition.USES] += 1
    add_counters(s, changes)


@compiled
def add_counters(s: Block, changes: Ints) -> None:
    at = COUNTERS
    s.core[Core.SMEM_WAIT] += changes[at]
    for engine in range(ENGINE_SLOTS):
        s.core[Core.QUEUE_FULL + engine] += changes[at + 1 + engine]
    at += OF_SEQ
    for engine in range(FIRST_ENGINE, FIRST_ENGINE + ENGINE_COUNT):
        for column in range(OF_ENGINE):
            s.profile[engine, column] += changes[at + column]
        at += OF_ENGINE
    for action in range(s.actions.size):
        s.actions[action] += changes[Transition.ACTIONS + action]
        if s.actions[action] > MAX_COUNT:
            s.core[Core.FULL] = 1


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
def end_observation(s: Block) -> int:
    """The program has come to the next cut. Notes the transition; returns the state."""
    core, row = s.core, s.core[Core.OBSERVED] - 1
    core[Core.OBSERVED] = 0
    state, engines = current_state(s, core[Core.NOW], True), s.traces[row, Trace.ENGINES]
    alike = core[Core.PC] == s.traces[row, Trace.END] and core[Core.NOTED] == engines
    if not alike or min(state, core[Core.OBSERVED_FROM]) == 0 or core[Core.ITEMS] + 3 * engines + MAX_SOURCES > MAX_ITEMS:
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


@inlined
def keep_places(s: Block, values: Ints, row: int) -> None:
    """Where the sources of the observed trace are."""
    at = s.traces[row, Trace.SOURCES]
    for number in range(s.traces[row, Trace.SOURCES + 1]):
        s.observed_places[number] = values[s.items[at]] & s.core[Core.PERIOD_MASK]
        at += 3


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
