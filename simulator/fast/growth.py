"""Which traces are made: a few where the program often comes by, and longer ones of what is passed over in one go again and again."""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, ByPc, Core, Ints, Program
from simulator.fast.observation import FIRST_CREDIT, is_milestone
from simulator.fast.program_layout import Op
from simulator.fast.recorder import TO_KNOWN
from simulator.fast.trace_layout import MAX_RUN, NEVER, Trace
from simulator.fast.trace_maker import make_trace

REWARD, MAX_CREDIT = 2, 64
USEFUL = 4
"""A trace that was passed over so often was worth its making."""
MAX_GROWN = 8
"""So many longer traces are made at a place before one is known to be useful."""
HOPELESS = 8
"""From a place that deserved a trace so often and is the beginning of nothing useful, a trace goes on to a place that is: what differs
each time may be over there.
"""
OLDER = 16
"""What was passed over so many times as often as a trace does not become part of it."""
LEAST_ENGINES, MORE_CUTS = 4, 4
"""To pass over a trace takes as long as to execute some engine instructions: the fewest a trace has, if one of so many cuts does."""


@compiled
def first_trace(s: Block, program: Program, values: Ints, by_pc: Ints, pc: int) -> int:
    """The row and one of a new trace at a place where none applies, if it deserves one; or 0."""
    if program[pc].op >= Op.STS or not deserves_trace(by_pc, pc, s.core[Core.HOT_VISITS]):
        return 0
    if by_pc[pc, ByPc.USEFUL] == 0 and by_pc[pc, ByPc.VISITS] > s.core[Core.HOT_VISITS] + HOPELESS:
        by_pc[pc, ByPc.REACHES] = 1
    made = 0
    if by_pc[pc, ByPc.REACHES] != 0:
        made = make_trace(s, program, values, by_pc, pc, TO_KNOWN, LEAST_ENGINES)
    if made == 0:
        made = make_trace(s, program, values, by_pc, pc, 1, LEAST_ENGINES)
    return made if made > 0 else make_trace(s, program, values, by_pc, pc, MORE_CUTS, LEAST_ENGINES)


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
def longer_trace(s: Block, program: Program, values: Ints, by_pc: Ints, row: int) -> int:
    """The row and one of a new trace as long as what has been passed over from the beginning of this one on of late; or 0. That is
    asked after ever more passes.
    """
    trace, pc = s.traces[row], s.traces[row, Trace.BEGIN]
    if not is_milestone(trace[Trace.PASSES], s.core[Core.GROW_AT]):
        return 0
    ahead, trace[Trace.AHEAD] = trace[Trace.AHEAD], NEVER
    is_longer = trace[Trace.CUTS] < ahead < NEVER and by_pc[pc, ByPc.GROWN] < MAX_GROWN
    older = trace[Trace.LONGER]
    if not is_longer or (older > 0 and s.traces[older - 1, Trace.CUTS] == ahead):
        return 0
    made = make_trace(s, program, values, by_pc, pc, ahead, trace[Trace.ENGINES] + 1)
    if made > 0:
        by_pc[pc, ByPc.GROWN] += 1
        s.traces[made - 1, Trace.SHORTER], trace[Trace.LONGER] = row + 1, made
    return made


@inlined
def note_in_run(s: Block, number: int, row: int, cuts: int) -> None:
    """A trace was passed over as the `number`th one in a go, behind so many cuts."""
    if number < MAX_RUN:
        s.run[number, 0], s.run[number, 1] = row, cuts


@compiled
def end_run(s: Block, passes: int, cuts: int) -> None:
    """So much was passed over in one go. What is known for much longer is not ahead of a trace: it may well be used without it."""
    s.core[Core.RUNS] += 1
    for number in range(min(passes, MAX_RUN)):
        row = s.run[number, 0]
        if s.traces[row, Trace.RUN] == s.core[Core.RUNS]:
            continue  # again
        s.traces[row, Trace.RUN] = s.core[Core.RUNS]
        passed, end = s.traces[row, Trace.PASSES], number + 1
        while end < min(passes, MAX_RUN) and s.traces[s.run[end, 0], Trace.PASSES] <= OLDER * passed:
            end += 1
        until = cuts if end == passes else s.run[min(end, MAX_RUN - 1), 1]
        s.traces[row, Trace.AHEAD] = min(s.traces[row, Trace.AHEAD], until - s.run[number, 1])


@inlined
def reward(s: Block, by_pc: Ints, row: int) -> None:
    """A trace was passed over."""
    s.traces[row, Trace.PASSES] += 1
    by_pc[s.traces[row, Trace.BEGIN], ByPc.USEFUL] += 1
    if s.traces[row, Trace.PASSES] == USEFUL:
        pc = s.traces[row, Trace.BEGIN]
        by_pc[pc, ByPc.CREDIT] = min(by_pc[pc, ByPc.CREDIT] + REWARD, MAX_CREDIT)
        by_pc[pc, ByPc.GROWN] -= REWARD if s.traces[row, Trace.SHORTER] > 0 else 0
