"""Energy: action counts times the machine's table, plus static power times time. docs/energy.md.

Every joule belongs to exactly one component, and the total is their sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from isa.machine import Machine
from simulator.timing.actions import ACTION_INDEX, MAC_PAIRS, SRAM_PORTS, VPU_CLASSES

PICOJOULE = 1e-12
LEAKAGE = ("static_sram", "static_logic")
IDLE = ("static_dram",)
STATIC = (*LEAKAGE, *IDLE)
DYNAMIC = ("mac", "accumulator", "vpu", "sram", "smem", "seq", "dram", "dram_interface")
COMPONENTS: tuple[str, ...] = (*DYNAMIC, *STATIC)
GROUPS = {"dynamic": DYNAMIC, "leakage": LEAKAGE, "idle": IDLE, "total": COMPONENTS}
"""What happens, what leaks, what the DRAM draws while nothing happens (background and refresh), and all of it."""


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Joules by component, in the order of COMPONENTS."""

    joules: dict[str, float]

    @property
    def total(self) -> float:
        """Joules: the sum of the components."""
        return sum(self.joules.values())


@dataclass(frozen=True, slots=True)
class EnergyBand:
    """Joules, and the least and most they can be if every row of the table is at that end of its band."""

    joules: float
    low: float
    high: float


class EnergyModel:
    """The energy table of a machine as one coefficient per action."""

    def __init__(self, machine: Machine) -> None:
        rows = list(machine.energy_rows())
        self._stated, self._low, self._high = (
            _Table({name: number for (name, _), number in zip(rows, numbers, strict=True)}, machine.clock_hz)
            for numbers in (
                [row.value for _, row in rows],
                [row.value * row.band.low for _, row in rows],
                [row.value * row.band.high for _, row in rows],
            )
        )

    def breakdown(self, actions: Sequence[int], instructions: int, cycles: int) -> EnergyBreakdown:
        """Joules of these counts (by action index), executed instructions and elapsed cycles. Zeroes are kept."""
        return EnergyBreakdown(self._stated.joules(actions, instructions, cycles))

    def bands(self, actions: Sequence[int], instructions: int, cycles: int) -> dict[str, EnergyBand]:
        """The same by component and by group (GROUPS), with bands. The ends of a sum are the sums of the ends: docs/energy.md says why."""
        ends = [table.joules(actions, instructions, cycles) for table in (self._stated, self._low, self._high)]
        parts = {**{name: (name,) for name in COMPONENTS}, **GROUPS}
        return {
            name: EnergyBand(*(sum(joules[member] for member in members) for joules in ends))
            for name, members in parts.items()
        }

    @property
    def charged(self) -> frozenset[int]:
        """Indices of the actions that cost energy; the others count the same events in another way."""
        return frozenset(index for index, _, _ in self._stated.picojoules)


class _Table:
    """Coefficients by action index, for what is charged to which component."""

    def __init__(self, rows: Mapping[str, float], clock_hz: int) -> None:
        self.picojoules: list[tuple[int, str, float]] = []
        for pair in MAC_PAIRS:
            self._charge(f"mac.{pair}", "mac", rows[f"mac.{pair}"])
        for name in VPU_CLASSES:
            self._charge(f"vpu.{name}", "vpu", rows[f"vpu.{name}"])
        for port in SRAM_PORTS:
            self._charge(f"sram_read.{port}", "sram", rows["sram_read"])
            self._charge(f"sram_write.{port}", "sram", rows["sram_write"])
        self._charge("accumulator", "accumulator", rows["accumulator"])
        self._charge("smem", "smem", rows["smem"])
        self._charge("dram.activate", "dram", rows["dram.activate"])
        for direction in ("read", "write"):
            self._charge(f"dram.{direction}", "dram", rows[f"dram.{direction}"])
            self._charge(f"dram.{direction}", "dram_interface", rows["dram.controller"])
        self._instruction_picojoules = rows["instruction"]
        self._static_watts = (rows["sram_static"], rows["logic_static"], rows["dram.static"])
        self._clock_hz = clock_hz

    def joules(self, actions: Sequence[int], instructions: int, cycles: int) -> dict[str, float]:
        """By component, in the order of COMPONENTS."""
        joules: dict[str, float] = {name: 0.0 for name in COMPONENTS}
        for index, component, picojoules in self.picojoules:
            joules[component] += actions[index] * picojoules * PICOJOULE
        joules["seq"] = instructions * self._instruction_picojoules * PICOJOULE
        for name, watts in zip(STATIC, self._static_watts, strict=True):
            joules[name] = watts * cycles / self._clock_hz
        return joules

    def _charge(self, action: str, component: str, picojoules: float) -> None:
        self.picojoules.append((ACTION_INDEX[action], component, picojoules))
