"""Why a phase takes longer than its floor, from what its engines did: one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.report.model import EngineReport, Floor, PhaseReport

EXPLAINED = 0.7
"""Phases that use less of what bounds them are explained."""
WORTH_NAMING = 0.03
"""Waits of less than this part of the time are left out."""
WORK = {"DML": "loads", "DMS": "stores", "MXU": "products", "VPU": "vector work"}


def reason_of(phase: PhaseReport, before: Sequence[EngineReport], after: Sequence[EngineReport]) -> str | None:
    """The sentence, or None for a phase that is near to its floor. `before` and `after`: the engines at its ends."""
    if not phase.cycles or phase.floor.cycles >= EXPLAINED * phase.cycles:
        return None
    name = engine_of(phase.floor)
    earlier = next((engine for engine in before if engine.name == name), None)
    later = next(engine for engine in after if engine.name == name)
    busy = (later.busy_cycles - (earlier.busy_cycles if earlier else 0)) / phase.cycles
    waits = {
        key: (cycles - (earlier.waits.get(key, 0) if earlier else 0)) / phase.cycles
        for key, cycles in later.waits.items()
    }
    rate = phase.floor.cycles / phase.cycles
    named = [(share, key) for key, share in waits.items() if share >= WORTH_NAMING]
    causes = [f"{share:.0%} {wait_text(key, name)}" for share, key in sorted(named, reverse=True)]
    others = ", ".join(f"{key} {share:.0%}" for key, share in phase.utilisation.items())
    sentence = f"{name} is busy {busy:.0%} of the time with work of {rate:.0%} at full rate"
    return f"{', '.join((sentence, *causes))} (all at full rate: {others})"


def engine_of(floor: Floor) -> str:
    """The engine that does the work of the largest floor."""
    return max((floor.dram, "DML"), (floor.mxu, "MXU"), (floor.vpu, "VPU"))[1]


def wait_text(key: str, name: str) -> str:
    """A wait of the report (`interlock with DML`, `starved`) in words."""
    if key == "starved":
        return "without an instruction"
    other = key.rpartition(" ")[2]
    return "waiting for the end of its own work" if other == name else f"waiting for {WORK[other]} ({other})"
