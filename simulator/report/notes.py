"""What a reader of a report must know about the run: what was left out, and what was assumed."""

from __future__ import annotations

from isa.container import Executable
from isa.machine import Machine
from simulator.report.render import quantity


def notes_of(executable: Executable, *, timing_only: bool, seed: int, position: int = 0) -> list[str]:
    """One sentence for each thing; none for a run with values on a machine it fits. `seed`: of what timing-only runs choose;
    `position`: where the run began.
    """
    notes: list[str] = []
    if timing_only:
        notes.append(f"timing only: no tensor has values, the tokens are made up (seed {seed})")
    if position:
        notes.append(f"begins at position {position:,}: the tokens before it are taken as processed and cost nothing")
    if timing_only and executable.meta.get("routed"):
        notes.append(f"routing: seeded uniform choice (seed {seed})")
    machine = Machine.from_canonical(executable.meta["machine"])
    if executable.dram_bytes > machine.dram_capacity_bytes:
        needed, present = quantity(executable.dram_bytes, "B"), quantity(machine.dram_capacity_bytes, "B")
        notes.append(
            f"needs {needed} of DRAM, {machine.name} has {present}: "
            "the times are those of a machine of this kind with enough memory"
        )
    return notes + executable.meta.get("conversions", [])
