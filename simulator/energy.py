"""Energy: action counts times the machine's table, plus static power times time. docs/energy.md.

Every joule belongs to exactly one component, and the total is their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isa.machine import Machine
from simulator.timing.actions import ACTION_INDEX, MAC_PAIRS, SRAM_PORTS, VPU_CLASSES

PICOJOULE = 1e-12
STATIC = ("static_sram", "static_logic", "static_dram")
COMPONENTS: tuple[str, ...] = ("mac", "accumulator", "vpu", "sram", "smem", "seq", "dram", "dram_interface", *STATIC)


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Joules by component, in the order of COMPONENTS."""

    joules: dict[str, float]

    @property
    def total(self) -> float:
        """Joules: the sum of the components."""
        return sum(self.joules.values())


class EnergyModel:
    """The energy table of a machine as one coefficient per action."""

    def __init__(self, machine: Machine) -> None:
        rows = {name: row.value for name, row in machine.energy_rows()}
        self._picojoules: list[tuple[int, str, float]] = []
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
        self._clock_hz = machine.clock_hz

    def breakdown(self, actions: Sequence[int], instructions: int, cycles: int) -> EnergyBreakdown:
        """Joules of these counts (by action index), executed instructions and elapsed cycles. Zeroes are kept."""
        joules: dict[str, float] = {name: 0.0 for name in COMPONENTS}
        for index, component, picojoules in self._picojoules:
            joules[component] += actions[index] * picojoules * PICOJOULE
        joules["seq"] = instructions * self._instruction_picojoules * PICOJOULE
        for name, watts in zip(STATIC, self._static_watts, strict=True):
            joules[name] = watts * cycles / self._clock_hz
        return EnergyBreakdown(joules)

    @property
    def charged(self) -> frozenset[int]:
        """Indices of the actions that cost energy; the others count the same events in another way."""
        return frozenset(index for index, _, _ in self._picojoules)

    def _charge(self, action: str, component: str, picojoules: float) -> None:
        self._picojoules.append((ACTION_INDEX[action], component, picojoules))
