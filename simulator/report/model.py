"""The report as plain dataclasses. docs/stats.md documents every field; SCHEMA changes when a field changes meaning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from simulator.energy import EnergyBand

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class EngineReport:
    """Cycles of one engine: busy + idle = total. Idle = interlock + starved (SEQ: queue full, SMEM and halt waits)."""

    name: str
    instructions: int
    busy_cycles: int
    idle_cycles: int
    contention_cycles: int
    utilisation: float
    waits: dict[str, int]


@dataclass(frozen=True, slots=True)
class Floor:
    """Cycles no schedule of the same work can undercut, by resource; `cycles` is the largest of them."""

    dram: float
    mxu: float
    vpu: float
    cycles: float


@dataclass(frozen=True, slots=True)
class PhaseReport:
    """The whole run or a part of it. Joules by component add up to `joules`."""

    name: str
    tokens: int
    cycles: int
    seconds: float
    instructions: int
    macs: int
    dram_bytes: int
    floor: Floor
    bound: str
    ratio_to_floor: float | None
    cycles_per_token: float | None
    tokens_per_second: float | None
    energy: dict[str, float]
    energy_bands: dict[str, EnergyBand]
    joules: float
    joules_per_token: float | None
    watts: float | None
    utilisation: dict[str, float]


@dataclass(frozen=True, slots=True)
class SectionReport:
    """What lies between a mark and the next of its label. `value` is None before the first mark."""

    label: int
    value: int | None
    visits: int
    cycles: int
    busy_cycles: dict[str, int]
    macs: int
    dram_bytes: int
    joules: float


@dataclass(frozen=True, slots=True)
class OperatorReport:
    """All instructions that come from one source operator; joules without static power."""

    name: str
    executions: int
    busy_cycles: dict[str, int]
    macs: int
    vpu_elements: int
    dram_bytes: int
    joules: float


@dataclass(frozen=True, slots=True)
class PredictionReport:
    """What the compiler predicted of a phase, against what was simulated; error: predicted / simulated - 1."""

    phase: str
    predicted_cycles: int
    simulated_cycles: int
    error: float


@dataclass(frozen=True, slots=True)
class PowerReport:
    """Mean watts of an interval of time, by component and of all."""

    begin_cycle: int
    end_cycle: int
    total_watts: float
    watts: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the simulator knows about a run. Times in cycles of the core clock unless named otherwise."""

    machine: dict[str, Any]
    program: dict[str, Any]
    prompt_tokens: int | None
    generated_tokens: int
    time_to_first_token_cycles: int | None
    time_to_first_token_seconds: float | None
    total: PhaseReport
    prefill: PhaseReport
    decode: PhaseReport
    rest: PhaseReport
    encode: PhaseReport
    engines: list[EngineReport]
    bytes_by_region: dict[str, dict[str, int]]
    dram: dict[str, float]
    macs_by_dtype: dict[str, int]
    vpu_elements_by_class: dict[str, int]
    sram_bytes_by_port: dict[str, dict[str, int]]
    sections: list[SectionReport]
    operators: list[OperatorReport]
    token_cycles: list[int]
    power: list[PowerReport]
    notes: list[str] = field(default_factory=list[str])
    predictions: list[PredictionReport] = field(default_factory=list[PredictionReport])
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, texts and numbers: docs/stats.md."""
        return asdict(self)
