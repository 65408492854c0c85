"""Lower bounds of time for the same work, and which of them a run is near to."""

from __future__ import annotations

from collections.abc import Sequence

from isa.machine import Machine
from isa.spec import Dtype
from simulator.report.model import Floor
from simulator.timing.actions import ACTION_INDEX, MAC_PAIRS, VPU_CLASSES
from simulator.timing.mxu import beats_per_row

# A phase is bound by a resource whose floor is at least this part of the time; otherwise latencies and waits dominate.
BOUND_THRESHOLD = 0.5


def floor_of(machine: Machine, actions: Sequence[int]) -> Floor:
    """Cycles at full speed of each resource: DRAM bus less refresh, MACs at the rate of their dtypes, VPU lanes."""
    core = machine.core
    dram_bytes = actions[ACTION_INDEX["dram.read"]] + actions[ACTION_INDEX["dram.write"]]
    dram = dram_bytes / machine.memory.refreshed_bytes_per_second * machine.clock_hz
    cells = core.mxu.rows.value * core.mxu.columns.value
    mxu = 0.0
    for pair in MAC_PAIRS:
        a, b = (Dtype[name.upper()] for name in pair.split("_"))
        mxu += actions[ACTION_INDEX[f"mac.{pair}"]] * beats_per_row(core, a, b) / cells
    vpu = 0.0
    for name in VPU_CLASSES:
        vpu += actions[ACTION_INDEX[f"vpu.{name}"]] * getattr(core.vpu.cycles, name).value / core.vpu.lanes.value
    return Floor(dram, mxu, vpu, max(dram, mxu, vpu))


def bound_of(floor: Floor, cycles: int) -> str:
    """memory, compute (MXU or VPU), latency, or none for an empty phase."""
    if cycles == 0:
        return "none"
    if floor.cycles < BOUND_THRESHOLD * cycles:
        return "latency"
    return "memory" if floor.dram >= max(floor.mxu, floor.vpu) else "compute"
