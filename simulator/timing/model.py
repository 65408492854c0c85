"""The timing model: told what the program does, in dispatch order, it works out when. docs/timing.md has the equations.

It sees instructions and descriptors only, never values, and never influences them.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from isa.machine import Machine
from isa.spec import Instruction, Region
from simulator.timing.actions import ACTION_INDEX, ACTIONS
from simulator.timing.costs import SMEM_GRANULE_BYTES, Cost, CostModel, Operands
from simulator.timing.interlock import Interlock
from simulator.timing.parts import Parts, Snapshot
from simulator.timing.profile import ENGINE_SLOTS, ENGINES, EngineProfile, Event, PcProfile, SeqProfile
from simulator.timing.records import Records
from simulator.timing.resource import Demand, SharedResource, place
from simulator.timing.turnaround import Turnaround

_SMEM = int(Region.SMEM)
_SMEM_ACTION = ACTION_INDEX["smem"]
MAX_EVENTS = 1 << 20


class TimingModel:
    """An observer of execution. Times are integer cycles of the core clock, counted from the first instruction."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.costs = CostModel(machine)
        self.now = 0  # the cycle at which SEQ dispatches the next instruction
        self.frontier = 0  # the cycle at which everything dispatched so far is visible
        self.actions = [0] * len(ACTIONS)
        self.seq = SeqProfile()
        self.engines = {int(engine): EngineProfile() for engine in ENGINES}
        self.per_pc: dict[int, PcProfile] = {}
        self.scalar_counts: dict[int, int] = {}  # executions of SEQ instructions
        self.smem_bytes: dict[int, int] = {}  # moved by SEQ instructions
        self.events: list[Event] = []
        self._parts = Parts()
        self._busy = [0] * ENGINE_SLOTS
        self._free = [0] * ENGINE_SLOTS
        self._computed = [0] * ENGINE_SLOTS  # the cycle at which the last instruction of an engine has computed
        self._visible = 0  # the cycle at which the results of the last product are
        depth = machine.core.seq.queue_depth.value
        self._starts = [deque([0] * depth, depth) for _ in range(ENGINE_SLOTS)]
        self._interlock = Interlock()
        self._sram, self._dram = SharedResource(), SharedResource()
        self._turnaround = Turnaround(
            self.costs.dram.read_to_write, self.costs.dram.write_to_read, self.costs.dram.refresh
        )

    @property
    def cycles(self) -> int:
        """The total so far: SEQ has dispatched and every engine has finished."""
        return max(self.now, self.frontier)

    def scalar(self, pc: int, row: Instruction) -> None:
        """A SEQ instruction that touches no memory: one cycle."""
        self.now += 1
        counts = self.scalar_counts
        counts[pc] = counts.get(pc, 0) + 1

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        """lds, sts or tdld of SMEM bytes [low, high): waits for older conflicting engine instructions, stalling SEQ."""
        until, _ = self._interlock.blocked(
            _SMEM,
            low // SMEM_GRANULE_BYTES * SMEM_GRANULE_BYTES,
            -(-high // SMEM_GRANULE_BYTES) * SMEM_GRANULE_BYTES,
            write,
        )
        if until > self.now:
            self.seq.smem_wait += until - self.now
            self.now = until
        self.actions[_SMEM_ACTION] += high - low
        self.smem_bytes[pc] = self.smem_bytes.get(pc, 0) + high - low
        self._one_cycle(pc)

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Operands) -> None:
        """An engine instruction with its descriptors (ta, tb, tc, td) as captured; None for those not used.

        Raises ValueError for an engine that has no timing (PIM, NET).
        """
        cost = self.costs.cost(row, fn, fl, tds)
        engine = cost.engine
        dispatch = self._dispatched(engine)
        accesses = _accesses(cost, tds)
        start = self._started(engine, dispatch, accesses)
        end = self._placed(cost, start, dispatch)
        self._free[engine], self._computed[engine] = end, end + cost.fill
        finish = end + cost.latency
        if cost.writes:  # one port writes the results of all products, in order
            finish = self._visible = max(finish, self._visible + cost.writes)
        if finish > self.frontier:
            self.frontier = finish
        for region, low, high, write in accesses:
            self._interlock.add(region, low, high, write, finish, engine, dispatch)
        self._record(pc, cost, start, end)

    def mark(self, pc: int, label: int, value: int) -> None:
        """The section of this label ends, the one with this value begins."""
        self._one_cycle(pc)
        self._parts.mark(label, value, self._totals(self.cycles))

    def event(self, pc: int, kind: int, value: int) -> None:
        """yield: the host sees (kind, value) at this cycle."""
        self._one_cycle(pc)
        if len(self.events) < MAX_EVENTS:
            self.events.append(Event(self.now, kind, value))
        self._parts.event(kind, self._totals(self.now))

    def halt(self, pc: int) -> None:
        """Waits for every engine."""
        if self.frontier > self.now:
            self.seq.halt_wait += self.frontier - self.now
            self.now = self.frontier
        self._one_cycle(pc)
        self._parts.halt(self._totals(self.now))

    def records(self) -> Records:
        """What was recorded so far."""
        totals = self._totals(self.cycles)
        return Records(
            machine=self.machine,
            now=self.now,
            frontier=self.frontier,
            actions=self.actions,
            seq=self.seq,
            engines=self.engines,
            per_pc=self.per_pc,
            scalar_counts=self.scalar_counts,
            smem_bytes=self.smem_bytes,
            events=self.events,
            phases=self._parts.phases(totals),
            sections=self._parts.sections(totals),
            intervals=self._parts.intervals(totals),
        )

    @property
    def instructions(self) -> int:
        """Instructions dispatched, of SEQ and of engines."""
        return self.now - self.seq.stalled

    def _one_cycle(self, pc: int) -> None:
        self.now += 1
        counts = self.scalar_counts
        counts[pc] = counts.get(pc, 0) + 1

    def _dispatched(self, engine: int) -> int:
        """The cycle of dispatch: a full queue stalls SEQ until its oldest instruction starts."""
        oldest_start = self._starts[engine][0]
        dispatch = self.now
        if oldest_start > dispatch:
            self.seq.queue_full[engine] += oldest_start - dispatch
            dispatch = oldest_start
        self.now = dispatch + 1
        return dispatch

    def _started(self, engine: int, dispatch: int, accesses: list[tuple[int, int, int, bool]]) -> int:
        """The cycle the engine starts: after dispatch, after its own previous instruction, after conflicts."""
        ready = max(dispatch, self._free[engine])
        start, blocker = ready, -1
        for region, low, high, write in accesses:
            until, by = self._interlock.blocked(region, low, high, write)
            if until > start:
                start, blocker = until, by
        if blocker >= 0:
            self.engines[engine].interlock[blocker] += start - ready
        self._starts[engine].append(start)
        return start

    def _placed(self, cost: Cost, start: int, now: int) -> int:
        """The cycle the engine is free again, given what the memories have promised to older instructions."""
        demands: list[Demand] = []
        # The first step of the unit comes after the last one of the instruction before, and no tile has streamed before the
        # results of older instructions are written: there are accumulators for two.
        late = max(0, self._computed[cost.engine] - start - cost.lead)
        if cost.writes:
            late = max(late, self._visible - start - cost.first_tile)
        cycles = cost.cycles + late
        if cost.sram_share:
            demands.append(Demand(self._sram, cost.sram_share))
        if cost.dram_share:
            demands.append(Demand(self._dram, cost.dram_share, self.costs.dram.in_flight[cost.dram_write]))
            cycles += self._turnaround.extra_cycles(start, cost.dram_write)
        end = place(start, cycles, demands, now)
        if cost.dram_share:
            self._turnaround.add(start, end, cost.dram_write, now)
        return end

    def _totals(self, cycle: int) -> Snapshot:
        return np.array([cycle, self.instructions, *self._busy, *self.actions], np.int64)

    def _record(self, pc: int, cost: Cost, start: int, end: int) -> None:
        busy = end - start
        profile = self.engines[cost.engine]
        profile.instructions += 1
        profile.busy += busy
        profile.contention += busy - cost.cycles
        self._busy[cost.engine] += busy
        place_of_pc = self.per_pc.get(pc)
        if place_of_pc is None:
            place_of_pc = self.per_pc[pc] = PcProfile(cost.engine)
        place_of_pc.executions += 1
        place_of_pc.busy += busy
        totals, own = self.actions, place_of_pc.actions
        for index, count in cost.actions:
            totals[index] += count
            own[index] += count


def _accesses(cost: Cost, tds: Operands) -> list[tuple[int, int, int, bool]]:
    """(region, low, high, write) of each operand, rounded outwards to granules."""
    accesses: list[tuple[int, int, int, bool]] = []
    for span in cost.spans:
        td = tds[span.operand]
        assert td is not None
        base, granule = td.base, span.granule
        accesses.append((span.region, (base + span.low) & -granule, -(-(base + span.high) & -granule), span.write))
    return accesses
