"""The timing model: told what the program does, in dispatch order, it works out when. docs/timing.md has the equations.

It sees instructions and descriptors only, never values, and never influences them.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from isa.abi import EVENT_IMAGE, EVENT_TOKEN
from isa.machine import Machine
from isa.spec import Engine, Instruction, Region
from simulator.timing.actions import ACTION_INDEX, ACTIONS
from simulator.timing.costs import SMEM_GRANULE_BYTES, Cost, CostModel, Operands
from simulator.timing.interlock import Interlock
from simulator.timing.profile import (
    ENGINE_SLOTS,
    ENGINES,
    EngineProfile,
    Event,
    PcProfile,
    Section,
    SeqProfile,
    Snapshot,
)
from simulator.timing.resource import SharedResource, place
from simulator.timing.turnaround import Turnaround

_SMEM = int(Region.SMEM)
_SMEM_ACTION = ACTION_INDEX["smem"]
MAX_EVENTS = 1 << 20
MAX_SECTIONS = 1 << 16
ENCODE, REST = "encode", "rest"  # phases that end at halt


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
        self._phases: dict[str, Section] = {}
        self._phase_begin = _zero()
        self._tokens_in_run = 0
        self._ends_as = REST
        self._busy = [0] * ENGINE_SLOTS
        self._free = [0] * ENGINE_SLOTS
        depth = machine.core.seq.queue_depth.value
        self._starts = [deque([0] * depth, depth) for _ in range(ENGINE_SLOTS)]
        self._interlock = Interlock()
        self._sram, self._dram = SharedResource(), SharedResource()
        self._turnaround = Turnaround(self.costs.dram.read_to_write, self.costs.dram.write_to_read)
        self._sections: dict[tuple[int, int | None], Section] = {}
        self._open: dict[int, Snapshot] = {}
        self._first_mark: dict[int, Snapshot] = {}

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
        self._free[engine] = end
        finish = end + cost.latency
        if finish > self.frontier:
            self.frontier = finish
        for region, low, high, write in accesses:
            self._interlock.add(region, low, high, write, finish, engine, dispatch)
        self._record(pc, cost, start, end)

    def mark(self, pc: int, label: int, value: int) -> None:
        """The section of this label ends, the one with this value begins."""
        self._one_cycle(pc)
        snapshot = self._snapshot(value)
        if label in self._open:
            self._close(label, self._open[label], snapshot)
        else:
            self._first_mark[label] = snapshot
        self._open[label] = snapshot

    def event(self, pc: int, kind: int, value: int) -> None:
        """yield: the host sees (kind, value) at this cycle."""
        self._one_cycle(pc)
        if len(self.events) < MAX_EVENTS:
            self.events.append(Event(self.now, kind, value))
        if kind == EVENT_TOKEN:
            self._end_phase("decode" if self._tokens_in_run else "prefill")
            self._tokens_in_run += 1
        elif kind == EVENT_IMAGE:
            self._ends_as = ENCODE

    def halt(self, pc: int) -> None:
        """Waits for every engine."""
        if self.frontier > self.now:
            self.seq.halt_wait += self.frontier - self.now
            self.now = self.frontier
        self._one_cycle(pc)
        self._end_phase(self._ends_as)
        self._tokens_in_run, self._ends_as = 0, REST

    def phases(self) -> dict[str, Section]:
        """Sections by phase: `prefill` up to the first token event of each run, `decode` between token events, `rest`
        from the last one to halt; `encode`: a run that encodes an image. Visits count tokens (runs, for `rest` and
        `encode`); cycles add up to the total.
        """
        result = {name: _copied(section) for name, section in self._phases.items()}
        if self.cycles > self._phase_begin.cycle:
            _extend(result.setdefault(REST, Section()), self._phase_begin, self._snapshot(0))
        return result

    def sections(self) -> dict[tuple[int, int | None], Section]:
        """Sections by (label, value), open ones closed now; value None is what came before the label's first mark."""
        saved = {key: _copied(section) for key, section in self._sections.items()}
        now = self._snapshot(0)
        for label, snapshot in self._open.items():
            self._close(label, snapshot, now)
            self._add((label, None), _zero(), self._first_mark[label])
        result, self._sections = self._sections, saved
        return result

    def instruction_counts(self, instructions: int) -> NDArray[np.int64]:
        """Executions by pc, [instructions]."""
        return self._by_pc(instructions, self.scalar_counts, {pc: p.executions for pc, p in self.per_pc.items()})

    def busy_cycles(self, instructions: int) -> NDArray[np.int64]:
        """Busy cycles by pc, [instructions]: those of its engine, and one of SEQ per execution."""
        engine_cycles = {pc: p.busy + p.executions for pc, p in self.per_pc.items()}
        return self._by_pc(instructions, self.scalar_counts, engine_cycles)

    def dram_bytes(self, instructions: int) -> NDArray[np.int64]:
        """Bytes on the DRAM bus by pc, [instructions]."""
        read, write = ACTION_INDEX["dram.read"], ACTION_INDEX["dram.write"]
        return self._by_pc(instructions, {pc: p.actions[read] + p.actions[write] for pc, p in self.per_pc.items()})

    @property
    def engine_busy(self) -> list[int]:
        """Busy cycles by Engine number; SEQ is busy for one cycle per instruction it executes."""
        busy = list(self._busy)
        busy[Engine.SEQ] = self.instructions
        return busy

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
        demands: list[tuple[SharedResource, float]] = []
        cycles = cost.cycles
        if cost.sram_share:
            demands.append((self._sram, cost.sram_share))
        if cost.dram_share:
            demands.append((self._dram, cost.dram_share))
            cycles += self._turnaround.extra_cycles(start, cost.dram_write)
        end = place(start, cycles, demands, now)
        if cost.dram_share:
            self._turnaround.add(start, end, cost.dram_write, now)
        return end

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

    def _snapshot(self, value: int) -> Snapshot:
        return Snapshot(value, self.cycles, self.instructions, list(self._busy), list(self.actions))

    def _close(self, label: int, begin: Snapshot, end: Snapshot) -> None:
        key = (label, begin.value)
        if key in self._sections or len(self._sections) < MAX_SECTIONS:
            self._add(key, begin, end)

    def _add(self, key: tuple[int, int | None], begin: Snapshot, end: Snapshot) -> None:
        _extend(self._sections.setdefault(key, Section()), begin, end)

    def _end_phase(self, name: str) -> None:
        snapshot = self._snapshot(0)
        snapshot.cycle = self.now
        _extend(self._phases.setdefault(name, Section()), self._phase_begin, snapshot)
        self._phase_begin = snapshot

    @staticmethod
    def _by_pc(instructions: int, *sources: dict[int, int]) -> NDArray[np.int64]:
        result = np.zeros(instructions, np.int64)
        for source in sources:
            for pc, number in source.items():
                if 0 <= pc < instructions:
                    result[pc] += number
        return result


def _accesses(cost: Cost, tds: Operands) -> list[tuple[int, int, int, bool]]:
    """(region, low, high, write) of each operand, rounded outwards to granules."""
    accesses: list[tuple[int, int, int, bool]] = []
    for span in cost.spans:
        td = tds[span.operand]
        assert td is not None
        base, granule = td.base, span.granule
        accesses.append((span.region, (base + span.low) & -granule, -(-(base + span.high) & -granule), span.write))
    return accesses


def _zero() -> Snapshot:
    return Snapshot(0, 0, 0, [0] * ENGINE_SLOTS, [0] * len(ACTIONS))


def _extend(section: Section, begin: Snapshot, end: Snapshot) -> None:
    """Adds what happened between two snapshots."""
    section.visits += 1
    section.cycles += end.cycle - begin.cycle
    section.instructions += end.instructions - begin.instructions
    section.busy = [s + e - b for s, b, e in zip(section.busy, begin.busy, end.busy, strict=True)]
    section.actions = [s + e - b for s, b, e in zip(section.actions, begin.actions, end.actions, strict=True)]


def _copied(section: Section) -> Section:
    return Section(section.visits, section.cycles, section.instructions, list(section.busy), list(section.actions))
