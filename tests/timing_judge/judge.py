"""The whole machine: a program in, start and end cycles of each instruction out."""

from __future__ import annotations

from collections.abc import Sequence

from isa.machine import Machine
from isa.spec import Engine
from tests.timing_judge.copies import CopyTask, Engines
from tests.timing_judge.core import Core, Outcome, Task
from tests.timing_judge.dram import Memory
from tests.timing_judge.matrix import MatrixTask
from tests.timing_judge.program import Step, Work
from tests.timing_judge.sram import Banks
from tests.timing_judge.vector import VectorTask


class Judge:
    """One machine, from an empty state. `first_refresh`: when it is due, as a part of tREFI;
    `by_address`: operands that meet in a bank of the scratchpad wait for each other.
    """

    def __init__(self, machine: Machine, first_refresh: float = 1.0, *, by_address: bool = False) -> None:
        self._machine = machine
        self.memory, self._banks = Memory(machine, first_refresh), Banks(machine, by_address)
        self._products: list[MatrixTask] = []  # the last one, and those that are not written
        self._last_vector: VectorTask | None = None
        core = machine.core
        channels = len(self.memory.channels)
        self._dma = {
            engine: Engines(max(1, dma.outstanding_bytes.value // (channels * self.memory.burst_bytes)), [0] * channels)
            for engine, dma in ((Engine.DML, core.dml), (Engine.DMS, core.dms))
        }

    def run(self, program: Sequence[Step]) -> Outcome:
        """Until everything is visible."""

        def begin(index: int) -> Task:
            work = program[index]
            assert isinstance(work, Work)
            if work.engine in self._dma:
                return CopyTask(self._machine, self._banks, self.memory, self._dma[work.engine], work, index)
            if work.engine == Engine.MXU:
                last = self._products[-1] if self._products else None
                self._products.append(MatrixTask(self._machine, self._banks, work, last))
                return self._products[-1]
            self._last_vector = VectorTask(self._machine, self._banks, work, self._last_vector)
            return self._last_vector

        return Core(
            program, self._machine.core.seq.queue_depth.value, begin, self._each_cycle, self._end_of_cycle
        ).run()

    def _each_cycle(self, cycle: int) -> None:
        self._banks.new_cycle()
        self.memory.advance(cycle)

    def _end_of_cycle(self, cycle: int) -> None:
        for product in self._products:
            product.settle(cycle)
        if self._last_vector is not None:
            self._last_vector.settle()
        self._products = [one for one in self._products[:-1] if not one.is_written] + self._products[-1:]
