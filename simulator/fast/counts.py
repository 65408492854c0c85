"""What is counted: busy cycles as they pass, actions by how often each cost was paid."""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_COUNT, MAX_NEW, Block, Core, Cost, Profile


@compiled
def bring_up_to_date(s: Block) -> None:
    """Adds what the new executions counted to the totals."""
    costs = s.costs
    for place in range(s.core[Core.TOUCHED]):
        row = s.touched[place]
        new = costs[row, Cost.NEW]
        for pair in range(costs[row, Cost.ACTIONS]):
            at = Cost.ACTION + 2 * pair
            s.actions[costs[row, at]] += new * costs[row, at + 1]
            if s.actions[costs[row, at]] > MAX_COUNT:
                s.core[Core.FULL] = 1
        costs[row, Cost.EXECUTIONS] += new
        costs[row, Cost.NEW] = 0
    s.core[Core.TOUCHED] = 0


@inlined
def record(s: Block, engine: int, cost: int, start: int, end: int) -> None:
    """Busy cycles of the engine and of the instruction. Counts are added up when somebody asks for them."""
    busy, profile, costs = end - start, s.profile, s.costs
    profile[engine, Profile.FREE] = end
    profile[engine, Profile.INSTRUCTIONS] += 1
    profile[engine, Profile.BUSY] += busy
    profile[engine, Profile.CONTENTION] += busy - costs[cost, Cost.CYCLES]
    if s.core[Core.OBSERVED] > 0:
        s.core[Core.NOTED] += 1
        note_work(s, cost, 1, busy)
    count(s, cost, busy)


@compiled
def note_work(s: Block, cost: int, executions: int, busy: int) -> None:
    """For the transition that is observed: that a cost was paid."""
    place = s.tally[cost] - 1
    if place < 0:
        place = s.core[Core.OBSERVED_COSTS]
        s.core[Core.OBSERVED_COSTS] = s.tally[cost] = place + 1
        s.observed_work[place, 0], s.observed_work[place, 1], s.observed_work[place, 2] = cost, 0, 0
    s.observed_work[place, 1] += executions
    s.observed_work[place, 2] += busy


@inlined
def count(s: Block, cost: int, busy: int) -> None:
    """One execution with this cost."""
    costs = s.costs
    costs[cost, Cost.BUSY] += busy
    if costs[cost, Cost.NEW] == 0:
        s.touched[s.core[Core.TOUCHED]] = cost
        s.core[Core.TOUCHED] += 1
    costs[cost, Cost.NEW] += 1
    if costs[cost, Cost.NEW] == MAX_NEW:
        bring_up_to_date(s)
