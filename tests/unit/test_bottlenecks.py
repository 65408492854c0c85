"""The sentence that says why a phase is far from its floor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.report.model import EngineReport, Floor, PhaseReport
from slmc.bottlenecks import reason_of

PHASE = PhaseReport(
    "decode", 4, 1000, 1e-6, 100, 0, 0, Floor(100.0, 400.0, 200.0, 400.0), "latency", 2.5, 250.0, 1.0, {}, {}, 0.0, 0.0, 0.0,
    {"dram": 0.1, "mxu": 0.4, "vpu": 0.2},
)  # fmt: skip


def engine(name: str, busy: int, **waits: int) -> EngineReport:
    return EngineReport(name, 1, busy, 0, 0, 0.0, {key.replace("_", " "): cycles for key, cycles in waits.items()})


BEFORE = [engine("DML", 5), engine("MXU", 100, interlock_with_VPU=40, starved=10)]
AFTER = [
    engine("DML", 900),
    engine("MXU", 600, interlock_with_VPU=240, interlock_with_MXU=110, interlock_with_DMS=20, starved=180),
]


def test_it_tells_of_the_engine_of_the_floor_between_the_ends_of_the_phase() -> None:
    assert reason_of(PHASE, BEFORE, AFTER) == (
        "MXU is busy 50% of the time with work of 40% at full rate, 20% waiting for vector work (VPU), 17% without an instruction, "
        "11% waiting for the end of its own work (all at full rate: dram 10%, mxu 40%, vpu 20%)"
    )


def test_the_first_phase_begins_with_nothing() -> None:
    assert (reason_of(PHASE, [], AFTER) or "").startswith("MXU is busy 60% of the time")


@pytest.mark.parametrize(("cycles", "explained"), [(0, False), (571, False), (572, True)])
def test_near_to_the_floor_there_is_nothing_to_explain(cycles: int, explained: bool) -> None:
    assert (reason_of(replace(PHASE, cycles=cycles), BEFORE, AFTER) is not None) == explained
