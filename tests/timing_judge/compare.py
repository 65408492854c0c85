"""The model under test and the judge on the same program, and how far apart they may be: docs/timing.md, section 9."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isa.machine import Machine
from isa.spec import BY_MNEMONIC, DRAM_REGIONS, Engine
from simulator.timing import TimingModel
from tests.timing_judge.judge import Judge
from tests.timing_judge.program import Halt, Step, Work

TOLERANCE = 0.02


@dataclass(frozen=True)
class Times:
    """Cycles of the model and of the judge."""

    model: int
    judge: int

    def differ_by_more_than(self, early: float, late: float) -> bool:
        """Whether the model is early by more than `early`, or late by more than `late`, and 2 % of the judge's time."""
        allowed = TOLERANCE * self.judge
        return not -allowed - early <= self.model - self.judge <= allowed + late


def model_of(machine: Machine, program: Sequence[Step]) -> TimingModel:
    """The timing model after this program."""
    timing = TimingModel(machine)
    for step in program:
        if isinstance(step, Halt):
            timing.halt(0)
        elif isinstance(step, Work):
            timing.engine(0, step.row, step.function, step.flags, step.tds)
        elif step.access is None:
            timing.scalar(0, BY_MNEMONIC["alu"])
        else:
            timing.smem(0, BY_MNEMONIC["lds"], step.access.low, step.access.high, step.access.write)
    return timing


def times(machine: Machine, program: Sequence[Step], first_refresh: float = 1.0) -> Times:
    """Both on one program. `first_refresh`: when the judge's first one is due, as a part of tREFI."""
    return Times(model_of(machine, program).cycles, Judge(machine, first_refresh).run(program).cycles)


def cycles(machine: Machine, nanoseconds: float) -> float:
    return nanoseconds * machine.clock_hz / 1e9


def row_cycle(machine: Machine) -> float:
    """What a transfer can lose in a bank whose row is open for another one, in cycles."""
    t = machine.memory.timing
    write = t.tRCD.value + t.WL.value + t.burst.value + t.tWR.value + t.tRP.value
    return cycles(machine, max(t.tRC.value, write))


def refresh(machine: Machine) -> float:
    """What one refresh costs: the judge may meet one more or one less than the mean."""
    t = machine.memory.timing
    return cycles(machine, t.WL.value + t.tWR.value + t.tRP.value + t.tRFC.value + t.tRCD.value)


def idle_bus(machine: Machine, work: Work) -> float:
    """For how long some channel has nothing to do while this transfer is alone: what a neighbour may use, in cycles."""
    memory = machine.memory
    alone = Judge(machine).run([work]).cycles
    outside = next(td for td in work.tds if td is not None and td.region in DRAM_REGIONS)
    dense = outside.elements * outside.row_bytes() / outside.extents[0]
    return alone - dense / (memory.channels.value * memory.burst_bytes.value) * cycles(
        machine, memory.timing.burst.value
    )


def transfers(program: Sequence[Step]) -> list[Work]:
    return [step for step in program if isinstance(step, Work) and step.engine in (Engine.DML, Engine.DMS)]
