"""Compiled models, timing-only, on both engines: equal tokens, and reports equal in every field."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import slmc
from frontends import load_program
from isa.container import Executable
from isa.machine import Machine
from isa.spec import Region
from simulator.fast import tables
from simulator.fast.layout import Core
from simulator.fast.timing import FastTiming
from simulator.report import build_report
from simulator.session import EngineName, Session, SessionError
from simulator.timing import TimingModel
from slmc.cli import main
from tests.end_to_end.e2e_support import PUBLISHED, build, options
from tests.property.lockstep import assert_same_records

STORYTELLER = PUBLISHED.parents[2] / "examples" / "storyteller"
VARIANTS = sorted(path.parent.name for path in PUBLISHED.glob("*/config.json"))
CASES = [
    (STORYTELLER, "edge", "w8a8", 0),
    (STORYTELLER, "edge", "w8a8-kv8", 16),
    (PUBLISHED / "gqa", "tiny", "fp32", 0),
    (PUBLISHED / "mqa", "edge", "w8a8-kv8", 8),
    (PUBLISHED / "gemma2", "tiny", "w8a8", 0),
    (PUBLISHED / "odd_sizes", "edge", "fp32", 3),
]


@cache
def executable(folder: Path, machine: str, scheme: str, chunk: int, context: int = 96) -> Executable:
    return build(load_program(folder), options(machine, scheme, context, chunk))


def outcome(program: Executable, engine: EngineName, prompts: list[list[int]], new: int, seed: int) -> Any:
    """Tokens, records and report of a conversation of several turns."""
    machine = Machine.from_canonical(program.meta["machine"])
    observer = TimingModel(machine) if engine == "reference" else None
    session = Session(program, observer=observer, engine=engine, timing_only=True, seed=seed)
    tokens = [list(session.generate(prompt, new)) for prompt in prompts]
    timed = observer or session.clock
    assert timed is not None
    return tokens, timed.records(), build_report(timed, program, sum(map(len, prompts))).to_json()


def check(program: Executable, prompts: list[list[int]], new: int, seed: int = 0) -> None:
    tokens, records, report = outcome(program, "fast", prompts, new, seed)
    expected_tokens, expected_records, expected_report = outcome(program, "reference", prompts, new, seed)
    assert tokens == expected_tokens
    assert_same_records(records, expected_records)
    for field, value in expected_report.items():
        assert report[field] == value, field
    assert report["total"]["cycles"] > 0 and report["total"]["joules"] > 0


@pytest.mark.parametrize(("folder", "machine", "scheme", "chunk"), CASES)
def test_reports_are_equal(folder: Path, machine: str, scheme: str, chunk: int) -> None:
    program = executable(folder, machine, scheme, chunk)
    check(program, [[1, 2, 3, 4, 5, 6, 7, 8, 9], [4], list(range(20))], new=4, seed=3)


@pytest.mark.long
@pytest.mark.parametrize("machine", ["edge", "tiny"])
@pytest.mark.parametrize("scheme", ["w8a8", "fp32", "w8a8-kv8"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_reports_of_every_variant_are_equal(variant: str, scheme: str, machine: str) -> None:
    program = build(load_program(PUBLISHED / variant), options(machine, scheme, 96))
    check(program, [[1, 2, 3], list(range(40))], new=8)


@pytest.fixture
def hot_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a short run comes to twice is extrapolated, in longer and longer stretches."""
    for name, value in (("HOT_VISITS", 2), ("GROW_AT", 2)):
        monkeypatch.setattr(tables, name, value)


@pytest.mark.usefixtures("hot_at_once")
@pytest.mark.parametrize(("folder", "machine", "scheme", "chunk"), CASES)
def test_extrapolated_reports_are_equal(folder: Path, machine: str, scheme: str, chunk: int) -> None:
    """Of several turns, with chunks of the prompt that differ."""
    check(
        executable(folder, machine, scheme, chunk), [[1, 2, 3, 4, 5, 6, 7, 8, 9], [4], list(range(20))], new=6, seed=3
    )


@pytest.mark.usefixtures("hot_at_once")
@pytest.mark.parametrize(
    ("folder", "machine", "scheme"), [(STORYTELLER, "tiny", "w8a8"), (STORYTELLER, "tiny", "w4a8")]
)
def test_a_long_run_passes_over_what_it_has_seen(folder: Path, machine: str, scheme: str) -> None:
    """And gives the numbers of one that executes everything."""
    program = executable(folder, machine, scheme, 0)
    clocks: list[FastTiming] = []
    for extrapolate in (True, False):
        session = Session(program, timing_only=True, extrapolate=extrapolate)
        list(session.generate([1, 2, 3], 80))
        assert isinstance(session.clock, FastTiming)
        clocks.append(session.clock)
    assert_same_records(clocks[0].records(), clocks[1].records())
    passed = [int(clock.block.core[Core.PASSED]) for clock in clocks]
    assert passed[1] == 0 and passed[0] > 0.1 * clocks[0].instructions


def test_the_command_line_runs_either_engine(tmp_path: Path) -> None:
    """The files and the tables are equal, byte by byte; the fast engine is the default."""
    outputs: list[tuple[bytes, str]] = []
    path = tmp_path / "model.slx"
    assert (
        CliRunner().invoke(main, ["compile", str(PUBLISHED / "gqa"), "--context", "64", "-o", str(path)]).exit_code == 0
    )
    for extra in ([], ["--no-extrapolate"], ["--engine", "reference"]):
        stats = tmp_path / "stats.json"
        arguments = [
            "run",
            str(path),
            "--timing-only",
            "--prompt-length",
            "20",
            "-n",
            "3",
            "--stats",
            str(stats),
            *extra,
        ]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        outputs.append((stats.read_bytes(), result.stdout))
    assert outputs[0] == outputs[1] == outputs[2]
    assert json.loads(outputs[0][0])["generated_tokens"] == 3


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_tokens_at_a_position_take_as_long_as_behind_a_prompt(engine: EngineName) -> None:
    """The first token of a run begins with idle engines, so the tokens behind it are compared."""
    chosen, position = replace(options("edge", "w8a8-kv8", 96, 8), predict=True), 77
    program = build(load_program(PUBLISHED / "mqa"), chosen)
    steps: list[list[int]] = []
    for first, prompt in ((0, position + 1), (position, 1)):
        session = slmc.Session(program, timing_only=True, position=first, engine=engine)
        list(session.generate([0] * prompt, 6))
        report = session.report()
        steps.append([int(end - begin) for begin, end in pairwise(report.token_cycles)])
        assert any("begins at position 77" in note for note in report.notes) == (first > 0)
        assert [one.phase for one in report.predictions] == ["decode"], "78 is no whole number of chunks"
    assert steps[0] == steps[1]


def test_a_run_with_values_goes_on_from_a_cache_that_is_put_there() -> None:
    program = executable(PUBLISHED / "gqa", "edge", "w8a8", 0)
    first = Session(program)
    expected = list(first.generate([5, 6, 7, 8], 6))
    second = Session(program, position=7)
    second.state.memory.arrays[Region.KV][:] = first.state.memory.arrays[Region.KV]
    assert list(second.generate([expected[3]], 2)) == expected[4:]


def test_the_engine_fits_the_run() -> None:
    program = executable(PUBLISHED / "gqa", "tiny", "fp32", 0)
    observer = TimingModel(Machine.from_canonical(program.meta["machine"]))
    assert Session(program, timing_only=True).clock is not None
    assert Session(program, timing_only=True, observer=observer).clock is None
    assert Session(program, timing_only=True, engine="reference").clock is None
    assert Session(program).clock is not None
    assert Session(program, observer=observer).clock is None
    assert Session(program, check_uninitialised=True).clock is None
    refused: list[dict[str, Any]] = [{"observer": observer}, {"check_uninitialised": True}]
    for arguments in refused:
        with pytest.raises(SessionError, match="only the reference engine can be watched"):
            Session(program, engine="fast", **arguments)


def test_a_reset_forgets_the_conversation_and_keeps_the_time() -> None:
    program = executable(PUBLISHED / "gqa", "tiny", "fp32", 0)
    session = Session(program, timing_only=True)
    assert session.clock is not None
    first = list(session.generate([1, 2, 3], 3))
    cycles = session.clock.cycles
    session.reset()
    assert session.token_count == 0
    assert list(session.generate([1, 2, 3], 3)) == first
    assert session.clock.cycles > cycles
