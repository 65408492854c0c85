"""Extrapolation of timing-only runs: what was executed before from the same registers and in the same state of the clock is not
executed again (docs/timing.md, section 10).

The program is cut behind backward branches. A trace is a way from one cut to the next; a transition is what it does to the clock
in a certain state. The first time a trace is executed as usual and observed; from then on, the transition is looked up.
"""

from __future__ import annotations

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
from simulator.fast.traces import SMEM_ACTION, choose_costs, find_trace, leave_results
from simulator.timing.profile import ENGINE_SLOTS

TRACE = int(Exit.TRACE)
FIRST_CREDIT, REWARD, MAX_CREDIT = 8, 2, 64
UNKNOWN = -1
OF_SEQ = 1 + ENGINE_SLOTS
OF_ENGINE = int(Profile.FREE)
COUNTERS = int(Transition.COUNTERS)


@compiled
def arrive(s: Block, values: Ints, by_pc: Ints) -> int:
    """Goes on from a cut, PC, as far as that is known. Returns 0, or Exit.TRACE if a trace from there on is to be made."""
    core = s.core
    before = core[Core.OBSERVED]
    state = end_observation(s) if before > 0 else UNKNOWN
    passed, trace = False, 0
    while core[Core.NOW] < MAX_CYCLE // 2 and core[Core.FULL] == 0:
        trace = find_trace(s, values, by_pc, core[Core.PC], before)
        if trace == 0 or s.traces[trace - 1, Trace.FORMS] < 0 or not choose_costs(s, values, trace - 1):
            break
        if state == UNKNOWN:
            state = current_state(s, core[Core.NOW], False)
        transition = find_transition(s, state, trace - 1)
        if transition < 0 or s.traces[trace - 1, Trace.INSTRUCTIONS] >= core[Core.STEPS]:
            break
        pass_over(s, values, by_pc, trace - 1, transition)
        state, passed, before = s.transitions[transition, Transition.NEXT], True, trace
    if passed:
        restore(s, state, core[Core.NOW])
    if trace > 0:
        begin_observation(s, trace - 1, state)
        return 0
    return TRACE if deserves_trace(by_pc, core[Core.PC], core[Core.HOT_VISITS]) else 0


@inlined
def deserves_trace(by_pc: Ints, pc: int, hot: int) -> bool:
    """A place that is visited often gets a few traces, more as new ones prove useful, and a few again after twice as many visits."""
    by_pc[pc, ByPc.VISITS] += 1
    visits = by_pc[pc, ByPc.VISITS]
    if visits >= hot and visits & visits - 1 == 0:
        by_pc[pc, ByPc.CREDIT] = max(by_pc[pc, ByPc.CREDIT], FIRST_CREDIT)
    if by_pc[pc, ByPc.CREDIT] <= 0:
        return False
    by_pc[pc, ByPc.CREDIT] -= 1
    return True


@compiled
def find_transition(s: Block, state: int, row: int) -> int:
    """The row of what the trace with the costs `chosen` does in a state, or -1."""
    if state <= 0:
        return -1
    table, place = s.transition_table, transition_hash(s, state, row) & s.transition_table.size - 1
    while table[place] > 0:
        found = table[place] - 1
        if s.transitions[found, Transition.STATE] == state and s.transitions[found, Transition.TRACE] == row:
            at, number, pointers = s.transitions[found, Transition.CHOSEN], 0, s.traces[row, Trace.POINTERS + 1]
            while number < pointers and s.items[at + number] == s.chosen[number]:
                number += 1
            if number == pointers:
                return found
        place = place + 1 & table.size - 1
    return -1


@compiled
def transition_hash(s: Block, state: int, row: int) -> int:
    value = mixed(state, row)
    for number in range(s.traces[row, Trace.POINTERS + 1]):
        value = mixed(value, s.chosen[number])
    return value


@compiled
def pass_over(s: Block, values: Ints, by_pc: Ints, row: int, transition: int) -> None:
    """Everything that executing the trace would do, but for the state of the clock."""
    core, changes, pc = s.core, s.transitions[transition], s.core[Core.PC]
    if s.traces[row, Trace.USED] == 0:
        s.traces[row, Trace.USED] = 1
        by_pc[pc, ByPc.CREDIT] = min(by_pc[pc, ByPc.CREDIT] + REWARD, MAX_CREDIT)
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
def begin_observation(s: Block, row: int, state: int) -> None:
    """The program goes the way of a trace from the cut at PC on."""
    core = s.core
    if s.traces[row, Trace.CREDIT] <= 0 or core[Core.TRANSITIONS] == MAX_TRANSITIONS:
        return
    s.traces[row, Trace.CREDIT] -= 1
    core[Core.OBSERVED], core[Core.NOTED], core[Core.OBSERVED_AT] = row + 1, 0, core[Core.NOW]
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
    if not alike or min(state, core[Core.OBSERVED_FROM]) == 0 or core[Core.ITEMS] + 4 * engines > MAX_ITEMS:
        return state
    keep_pointers(s, row)
    target = s.transitions[core[Core.TRANSITIONS]]
    target[Transition.CHOSEN] = core[Core.ITEMS]
    for number in range(s.traces[row, Trace.POINTERS + 1]):
        s.items[core[Core.ITEMS]] = s.chosen[number]
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
    for number in range(s.traces[row, Trace.ENGINES]):
        cost = s.noted[1, number]
        s.items[core[Core.ITEMS]], s.items[core[Core.ITEMS] + 1] = cost, s.noted[2, number]
        core[Core.ITEMS] += 2
        for pair in range(s.costs[cost, Cost.ACTIONS]):
            at = Cost.ACTION + 2 * pair
            target[Transition.ACTIONS + s.costs[cost, at]] += s.costs[cost, at + 1]
    subtract_counters(s)
    for place in range(s.counters.size):
        target[COUNTERS + place] = s.counters[place]


@compiled
def keep_pointers(s: Block, row: int) -> None:
    """Writes the costs that were observed of the pointers to `chosen`, the first time also their forms to the trace."""
    core, at = s.core, s.traces[row, Trace.POINTERS]
    count, first = s.traces[row, Trace.POINTERS + 1], s.traces[row, Trace.FORMS] < 0
    if first:
        s.traces[row, Trace.FORMS] = core[Core.ITEMS]
        core[Core.ITEMS] += count
    for number in range(count):
        s.chosen[number] = s.noted[1, s.items[at]]
        if first:
            s.items[s.traces[row, Trace.FORMS] + number] = s.noted[0, s.items[at]]
        at += 3
