"""What is recorded of a run: per engine, per instruction, and events with their cycle."""

from __future__ import annotations

from dataclasses import dataclass, field

from isa.spec import Engine
from simulator.timing.actions import ACTIONS

ENGINES = (Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU)
ENGINE_SLOTS = max(Engine) + 1


@dataclass(slots=True)
class EngineProfile:
    """Cycles of one engine. `busy` includes `contention`, the cycles lost to shared memories; the rest of the time the
    engine was idle: `interlock` by the engine waited for, or without an instruction.
    """

    instructions: int = 0
    busy: int = 0
    contention: int = 0
    interlock: list[int] = field(default_factory=lambda: [0] * ENGINE_SLOTS)


@dataclass(slots=True)
class SeqProfile:
    """Cycles of SEQ: one per instruction, and stalls by reason; together the total."""

    queue_full: list[int] = field(default_factory=lambda: [0] * ENGINE_SLOTS)
    smem_wait: int = 0
    halt_wait: int = 0

    @property
    def stalled(self) -> int:
        return sum(self.queue_full) + self.smem_wait + self.halt_wait


@dataclass(slots=True)
class PcProfile:
    """One engine instruction of the text: executions, busy cycles, counts by action index."""

    engine: int
    executions: int = 0
    busy: int = 0
    actions: list[int] = field(default_factory=lambda: [0] * len(ACTIONS))


@dataclass(frozen=True, slots=True)
class Event:
    """Something posted to the host (yield): cycle, kind (imm), value (x[rs])."""

    cycle: int
    kind: int
    value: int
