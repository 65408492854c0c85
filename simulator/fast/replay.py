"""Extrapolation of timing-only runs: what was executed before from the same registers and in the same state of the clock is not
executed again (docs/timing.md, section 10).

The program is cut behind backward branches. A trace is a way from one cut to another one; a transition is what it does to the clock
in a certain state. The first time a trace is executed as usual and observed (observation.py); from then on, the transition is
looked up. Traces that are passed over often become longer.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled
from simulator.fast.growth import MAX_CREDIT, REWARD, end_run, first_trace, longer_trace, note_in_run, reward
from simulator.fast.layout import ENGINE_COUNT, MAX_COUNT, MAX_CYCLE, Block, Core, Exit, Ints, Program
from simulator.fast.observation import (
    COUNTERS,
    OF_ENGINE,
    OF_SEQ,
    begin_observation,
    end_observation,
    find_transition,
    leave_observation,
    note_passed,
)
from simulator.fast.signatures import UNKNOWN
from simulator.fast.states import FIRST_ENGINE, current_state, restore
from simulator.fast.trace_layout import NEVER, Trace, Transition
from simulator.fast.traces import applies, find_sources, find_trace, leave_results
from simulator.timing.profile import ENGINE_SLOTS

STALE = int(Exit.STALE)


@compiled
def arrive(s: Block, program: Program, values: Ints, by_pc: Ints) -> int:
    """Goes on from a cut, PC, as far as that is known. Returns 0, or Exit.STALE if the tables of traces are full."""
    core = s.core
    before, state, passes, cuts = 0, UNKNOWN, 0, 0
    if core[Core.OBSERVED] > 0:
        before, state = come_on(s, 1, UNKNOWN)
    while core[Core.NOW] < MAX_CYCLE // 2 and core[Core.FULL] == 0:
        name = find_longest(s, values, by_pc, core[Core.PC], before)
        if name == 0:
            name = first_trace(s, program, values, by_pc, core[Core.PC])
            if name > 0 and core[Core.OBSERVED] == 0:
                begin_observation(s, values, name - 1, state)
            break
        if state == UNKNOWN:
            state = current_state(s, core[Core.NOW], False)
        known, transition = find_known(s, values, name, state)
        if core[Core.OBSERVED] == 0:
            choose_observation(s, program, values, by_pc, name, known, transition, state)
        if transition == UNKNOWN:
            break
        pass_over(s, values, by_pc, known - 1, transition)
        note_in_run(s, passes, known - 1, cuts)
        passes, cuts = passes + 1, cuts + s.traces[known - 1, Trace.CUTS]
        before, state = known, s.transitions[transition, Transition.NEXT]
        if core[Core.OBSERVED] > 0:
            note_passed(s, known - 1, transition)
            _, state = come_on(s, s.traces[known - 1, Trace.CUTS], state)
    if passes > 0:
        end_run(s, passes, cuts)
        restore(s, state, core[Core.NOW])
    return STALE if core[Core.STALE] != 0 else 0


@compiled
def come_on(s: Block, cuts: int, state: int) -> tuple[int, int]:
    """The program has come so many cuts further on the way of the trace that is observed. Returns its name and the state in its end, if
    that is where it has come to.
    """
    name = s.core[Core.OBSERVED]
    s.core[Core.OBSERVED_CUTS] -= cuts
    if s.core[Core.OBSERVED_CUTS] > 0:
        return 0, state
    return name, end_observation(s, state)


@compiled
def reach_obstacle(s: Block, pc: int) -> None:
    """The program comes to what no trace has: one that is observed ends here."""
    if s.core[Core.OBSERVED] > 0:
        s.core[Core.PC] = pc
        if s.core[Core.OBSERVED_CUTS] == 1:
            end_observation(s, UNKNOWN)
        else:
            leave_observation(s)


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
    """The longest trace that begins like this one, and the transition that it makes; or the shortest one and UNKNOWN."""
    most = s.core[Core.OBSERVED_CUTS] if s.core[Core.OBSERVED] > 0 else NEVER
    transition = UNKNOWN
    while True:
        may_end = s.traces[name - 1, Trace.INSTRUCTIONS] < s.core[Core.STEPS]
        if may_end and s.traces[name - 1, Trace.CUTS] <= most and find_sources(s, values, name - 1):
            transition = find_transition(s, state, name - 1)
        shorter = s.traces[name - 1, Trace.SHORTER]
        if transition != UNKNOWN or shorter == 0 or not applies(s, values, shorter - 1):
            return name, transition
        name = shorter


@compiled
def choose_observation(
    s: Block, program: Program, values: Ints, by_pc: Ints, name: int, known: int, transition: int, state: int
) -> None:
    """Observes what is not known yet from here on; parts of it may be passed over meanwhile."""
    chosen = name
    if transition == UNKNOWN:
        chosen = known
    elif known == name:
        chosen = longer_trace(s, program, values, by_pc, known - 1)
    if chosen > 0:
        begin_observation(s, values, chosen - 1, state)
        find_sources(s, values, known - 1)


@compiled
def pass_over(s: Block, values: Ints, by_pc: Ints, row: int, transition: int) -> None:
    """Everything that executing the trace would do, but for the state of the clock. Its sources are in `sources`."""
    core, changes = s.core, s.transitions[transition]
    reward(s, by_pc, row)
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
