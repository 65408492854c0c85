"""Everything recorded of a run, in whatever way it was timed: the input of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isa.machine import Machine
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.parts import Section, SectionKey
from simulator.timing.profile import EngineProfile, Event, PcProfile, SeqProfile

_DRAM_BYTES = (ACTION_INDEX["dram.read"], ACTION_INDEX["dram.write"])


@dataclass(frozen=True, slots=True)
class Records:
    """`now`: the cycle at which SEQ dispatches the next instruction; `frontier`: the cycle at which everything
    dispatched is visible. Counts by action index; executions of SEQ instructions and bytes they moved in SMEM, by pc.
    `intervals` follow each other in time, for power.
    """

    machine: Machine
    now: int
    frontier: int
    actions: list[int]
    seq: SeqProfile
    engines: dict[int, EngineProfile]
    per_pc: dict[int, PcProfile]
    scalar_counts: dict[int, int]
    smem_bytes: dict[int, int]
    events: list[Event]
    phases: dict[str, Section]
    sections: dict[SectionKey, Section]
    intervals: list[Section]

    @property
    def cycles(self) -> int:
        """The total: SEQ has dispatched and every engine has finished."""
        return max(self.now, self.frontier)

    @property
    def instructions(self) -> int:
        """Instructions dispatched, of SEQ and of engines."""
        return self.now - self.seq.stalled

    def instruction_counts(self, instructions: int) -> NDArray[np.int64]:
        """Executions by pc, [instructions]."""
        return _by_pc(instructions, self.scalar_counts, {pc: p.executions for pc, p in self.per_pc.items()})

    def busy_cycles(self, instructions: int) -> NDArray[np.int64]:
        """Busy cycles by pc, [instructions]: those of its engine, and one of SEQ per execution."""
        return _by_pc(instructions, self.scalar_counts, {pc: p.busy + p.executions for pc, p in self.per_pc.items()})

    def dram_bytes(self, instructions: int) -> NDArray[np.int64]:
        """Bytes on the DRAM bus by pc, [instructions]."""
        return _by_pc(instructions, {pc: sum(p.actions[i] for i in _DRAM_BYTES) for pc, p in self.per_pc.items()})


class Timed(Protocol):
    """Whatever times a run."""

    def records(self) -> Records:
        """What was recorded so far."""
        ...


def _by_pc(instructions: int, *sources: dict[int, int]) -> NDArray[np.int64]:
    result = np.zeros(instructions, np.int64)
    for source in sources:
        for pc, number in source.items():
            if 0 <= pc < instructions:
                result[pc] += number
    return result
