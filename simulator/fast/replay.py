"""Extrapolation of timing-only runs: what was executed before from the same registers and in the same state of the clock is not
executed again (docs/timing.md, section 10).

The program is cut behind backward branches. A trace is a way from one cut to another one; a transition is what it does to the clock
in a certain state. The first time a trace is executed as usual and observed (observation.py); from then on, the transition is
looked up. Traces that are passed over often become longer.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import ENGINE_COUNT, MAX_COUNT, MAX_CYCLE, Block, ByPc, Core, Exit, Ints
from simulator.fast.observation import (
    COUNTERS,
    FIRST_CREDIT,
    OF_ENGINE,
    OF_SEQ,
    begin_observation,
    end_observation,
    find_transition,
    is_milestone,
)
from simulator.fast.states import FIRST_ENGINE, current_state, restore
from simulator.fast.trace_layout import Trace, Transition
from simulator.fast.traces import applies, find_places, find_trace, leave_results
from simulator.timing.profile import ENGINE_SLOTS

TRACE = int(Exit.TRACE)
REWARD, MAX_CREDIT = 2, 64
USEFUL = 8
"""A trace that was passed over so often was worth its making."""
MAX_GROWN = 4
"""So many longer traces are made at a place before one is known to be useful."""
UNKNOWN = -1


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
        may_end = s.traces[name - 1, Trace.INSTRUCTIONS] < s.core[Core.STEPS]
        if may_end and s.traces[name - 1, Trace.IS_KNOWN] != 0 and find_places(s, values, name - 1):
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
    core, pc, passes = s.core, s.traces[row, Trace.BEGIN], s.traces[row, Trace.PASSES]
    if s.traces[row, Trace.LONGER] != 0 or by_pc[pc, ByPc.GROWN] >= MAX_GROWN or passes < core[Core.GROW_AT]:
        return False
    if passes < core[Core.PASSES_AN_INSTRUCTION] * s.traces[row, Trace.INSTRUCTIONS]:
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
