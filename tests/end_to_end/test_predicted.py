"""The compiler's prediction against the simulator, whose timing model shares no code with it; and what --explain prints."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from compiler.analysis.predict import Predictor, Step
from compiler.analysis.predict_dram import DramForm
from compiler.driver import lower
from frontends import load_program
from isa.descriptor import Descriptor
from isa.spec import Dtype, Region
from simulator.report import build_report
from simulator.session import Session
from simulator.timing import TimingModel
from simulator.timing.dram import Dram
from slmc.cli import main
from tests.end_to_end.e2e_support import PUBLISHED, build, machine, options

CONTEXT = 96
NEW_TOKENS = 4
BOUND = 0.03
"""Of small models most of the time is latencies and dispatch; what is left out is said in docs/prediction.md."""
CASES = [("gqa", "edge"), ("gqa", "tiny"), ("gpt2", "edge")]


@pytest.mark.parametrize(("model", "name"), CASES)
def test_predicted_cycles_are_near_to_simulated_ones(model: str, name: str) -> None:
    program = build(load_program(PUBLISHED / model), replace(options(name, "w8a8", CONTEXT), predict=True))
    length = min(program.meta["chunk"], CONTEXT - NEW_TOKENS)
    timing = TimingModel(machine(name))
    list(Session(program, observer=timing, timing_only=True).generate([1] * length, NEW_TOKENS))
    report = build_report(timing, program, length, prediction=program.prediction)
    assert [one.phase for one in report.predictions] == ["prefill", "decode"]
    for one in report.predictions:
        assert abs(one.error) <= BOUND, one


@pytest.mark.parametrize("name", ["edge", "tiny"])
@pytest.mark.parametrize(
    ("run_bytes", "count", "stride"),
    [
        (512, 32, 129024),
        (896, 32, 129024),
        (7168, 32, 129024),
        (512, 140, 33024),
        (20480, 4, 143360),
        (256, 16, 262144),
    ],
)
def test_runs_that_meet_in_few_banks(name: str, run_bytes: int, count: int, stride: int) -> None:
    """Parts of blocks of weights, and of a few rows of values in DRAM: the bus and each bank for itself would be done sooner."""
    td = Descriptor(0, Region.WEIGHT, Dtype.U8, (run_bytes, count, 1, 1), (1, stride, 0, 0))
    forms, memory = DramForm(machine(name)), Dram(machine(name))
    predicted, simulated = (found.cycles for found in (forms.moved(td, write=False), memory.transfer(td, write=False)))
    assert abs(predicted / simulated - 1) <= BOUND


def test_progress_of_operators_adds_up() -> None:
    module = lower(load_program(PUBLISHED / "gqa"), options("edge", "w8a8", CONTEXT), "tile")
    cost = Predictor(module, machine("edge")).step(Step(1, 40, True))
    assert round(sum(tally.cycles for tally in cost.operators.values())) == cost.cycles


def test_explain_prints_plan_tiles_costs_and_runner_up() -> None:
    command = ["compile", str(PUBLISHED / "gqa"), "-t", "tiny", "--context", "64", "--explain"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    for expected in (
        "Plans that were tried",
        "chosen",
        "Predicted prefill",
        "Predicted decode",
        "attention",
        "bound by",
    ):
        assert expected in result.output
    single = result.output[result.output.index("Plans for one token") : result.output.index("Tiles (")]
    assert single.count("chosen") == 1 and re.search(
        r"^ +[\d,]+ .* (yes|no) +[\d,]+ +[\d,]+ +chosen", single, re.MULTILINE
    )
    total = re.search(r"^decode: ([\d,]+) cycles", result.output, re.MULTILINE)
    chosen = re.search(r"^chosen: .* ([\d,]+) per token decoded", result.output, re.MULTILINE)
    assert total is not None and chosen is not None
    assert total[1] == chosen[1]
    assert "runner-up: chunk" in result.output
