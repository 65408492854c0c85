"""When engine instructions start and end: in order per engine, behind what they conflict with, from queues of a few.

This is the recurrence of docs/timing.md, sections 1, 2 and 7, over costs in closed form. A loop that repeats itself is not walked to its
end: `shift` moves everything on by its period.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from compiler.analysis.predict_engines import DML, DMS, EngineCost, EngineForms
from compiler.analysis.predict_sharing import Demand, Shared, run_shared
from isa.machine import Machine
from isa.spec import Region

Span = tuple[int, int, int, bool]
"""region, low, high, writes: rounded to granules."""
PRUNE_LENGTH = 24
ENGINE_COUNT = 4


@dataclass
class Tally:
    """What an operator has done so far: progress of the latest completion while it was dispatched, busy cycles by engine,
    instructions of the scalar engine, bytes on the DRAM bus by region."""

    cycles: float = 0.0
    busy: list[float] = field(default_factory=lambda: [0.0] * ENGINE_COUNT)
    instructions: float = 0.0
    dram_bytes: list[float] = field(default_factory=lambda: [0.0] * len(Region))

    def numbers(self) -> tuple[float, ...]:
        return (self.cycles, self.instructions, *self.busy, *self.dram_bytes)

    def add(self, numbers: Sequence[float]) -> None:
        self.cycles += numbers[0]
        self.instructions += numbers[1]
        for engine in range(ENGINE_COUNT):
            self.busy[engine] += numbers[2 + engine]
        for region in range(len(Region)):
            self.dram_bytes[region] += numbers[2 + ENGINE_COUNT + region]


class Timeline:
    """The state of the scalar engine and of the four others."""

    def __init__(self, machine: Machine) -> None:
        self.forms = EngineForms(machine)
        self.now = self.latest = 0.0
        self.products = 0.0  # when the results of the last one are visible
        self.free = [0.0] * ENGINE_COUNT
        self.computed = [0.0] * ENGINE_COUNT
        depth = machine.core.seq.queue_depth.value
        self.starts = [deque([0.0] * depth, depth) for _ in range(ENGINE_COUNT)]
        self.accesses: list[tuple[list[tuple[float, int, int]], list[tuple[float, int, int]]]] = [
            ([], []) for _ in Region
        ]
        self.sram, self.dram = Shared(), Shared()
        self.transfers: list[tuple[float, float, bool]] = []
        self.tallies: dict[str, Tally] = {}
        self.counted = 0.0  # the latest completion that has been attributed

    def tally(self, operator: str) -> Tally:
        found = self.tallies.get(operator)
        if found is None:
            found = self.tallies[operator] = Tally()
        return found

    def attribute(self, tally: Tally) -> None:
        """Progress goes to the operator whose instruction made it."""
        progress = max(self.now, self.latest)
        tally.cycles += progress - self.counted
        self.counted = progress

    def scalar(self, operator: str, count: float = 1) -> None:
        """Instructions of the scalar engine, one a cycle."""
        self.now += count
        tally = self.tally(operator)
        tally.instructions += count
        if self.now > self.counted:
            self.attribute(tally)

    def wait(self, region: int, low: int, high: int, write: bool) -> float:
        """Until when an access is held up."""
        reads, writes = self.accesses[region]
        until = 0.0
        for finish, other_low, other_high in writes:
            if finish > until and other_low < high and low < other_high:
                until = finish
        if write:
            for finish, other_low, other_high in reads:
                if finish > until and other_low < high and low < other_high:
                    until = finish
        return until

    def touch_smem(self, operator: str, low: int, high: int, write: bool) -> None:
        """lds or sts: waits for the engines."""
        self.now = max(self.now, self.wait(int(Region.SMEM), low, high, write))
        self.scalar(operator)

    def engine(self, operator: str, cost: EngineCost, spans: Sequence[Span], region: int) -> None:
        """One engine instruction; `region`: of its DRAM operand."""
        engine = cost.engine
        dispatch = max(self.now, self.starts[engine][0])
        self.now = dispatch + 1
        start = max([dispatch, self.free[engine], *[self.wait(*span) for span in spans]])
        self.starts[engine].append(start)
        end = self.placed(cost, start, dispatch)
        self.free[engine], self.computed[engine] = end, end + cost.fill
        finish = end + cost.latency
        if cost.writes:
            finish = self.products = max(finish, self.products + cost.writes)
        self.latest = max(self.latest, finish)
        for where, low, high, write in spans:
            accesses = self.accesses[where][write]
            if len(accesses) > PRUNE_LENGTH:
                accesses[:] = [access for access in accesses if access[0] > dispatch]
            accesses.append((finish, low, high))
        tally = self.tally(operator)
        tally.instructions += 1
        tally.busy[engine] += end - start
        if engine in (DML, DMS):
            tally.dram_bytes[region] += cost.dram_bytes
        self.attribute(tally)

    def placed(self, cost: EngineCost, start: float, now: float) -> float:
        """When the engine is free again."""
        late = max(0.0, self.computed[cost.engine] - start - cost.lead)
        if cost.writes:
            late = max(late, self.products - start - cost.first_tile)
        cycles = cost.cycles + late
        demands: list[Demand] = []
        if cost.sram_share:
            demands.append(Demand(self.sram, cost.sram_share))
        if cost.dram_share:
            demands.append(Demand(self.dram, cost.dram_share, self.forms.dram.in_flight[cost.engine == DMS]))
            cycles += self.turned(start, cost.engine == DMS, now)
        end = run_shared(start, cycles, demands, now)
        if cost.dram_share:
            self.transfers.append((start, end, cost.engine == DMS))
        return end

    def turned(self, start: float, write: bool, now: float) -> float:
        """Cycles to turn the data bus around, and for a refresh that has begun while it was idle."""
        dram = self.forms.dram
        if len(self.transfers) > 16:
            self.transfers = [t for t in self.transfers if t[1] > now - 4096]
        before = after = None
        for transfer in self.transfers:
            if transfer[0] <= start:
                before = transfer if before is None or transfer[1] > before[1] else before
            elif after is None or transfer < after:
                after = transfer
        idle = float("inf") if before is None else start - before[1]
        extra = float(dram.refresh_wait(write, idle))
        if before is not None and before[2] != write:
            extra = max(0.0, dram.turn[write] - max(0.0, idle))
        return extra + (dram.turn[not write] if after is not None and after[2] != write else 0)

    # Loops that repeat themselves

    def shape(self) -> tuple[float, ...]:
        """What the future depends on, relative to now: equal shapes go on in the same way."""
        ends = (*self.free, *self.computed, self.products, self.latest)
        return tuple(max(-4096.0, end - self.now) for end in ends)

    def shift(self, cycles: float) -> None:
        """Everything happens `cycles` later."""
        self.now += cycles
        self.latest += cycles
        self.products += cycles
        self.counted += cycles
        self.free = [time + cycles for time in self.free]
        self.computed = [time + cycles for time in self.computed]
        for starts in self.starts:
            starts.extend([time + cycles for time in starts])
        for pair in self.accesses:
            for accesses in pair:
                accesses[:] = [(finish + cycles, low, high) for finish, low, high in accesses]
        for resource in (self.sram, self.dram):
            resource.shift(cycles)
        self.transfers = [(start + cycles, end + cycles, write) for start, end, write in self.transfers]

    def snapshot(self) -> dict[str, tuple[float, ...]]:
        return {name: tally.numbers() for name, tally in self.tallies.items()}

    def repeat(self, earlier: dict[str, tuple[float, ...]], later: dict[str, tuple[float, ...]], times: int) -> None:
        """Adds what was counted from `earlier` to `later` that many times more."""
        for name, after in later.items():
            before = earlier.get(name, (0.0,) * len(after))
            self.tally(name).add([times * (b - a) for a, b in zip(before, after, strict=True)])
