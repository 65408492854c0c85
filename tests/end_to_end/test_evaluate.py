"""slmc evaluate: its numbers from the formulas, the simulator and the interpreter alike, and the files it writes."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result

import slmc
from compiler.driver import Options, lower
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from frontends import load_program
from isa.machine import load_machine
from slmc.cli import main
from slmc.evaluation.runs import Reference
from tests.end_to_end.evaluate_support import TEXT, ids_of, write_model

STORYTELLER = Path(__file__).parents[2] / "examples" / "storyteller"
SCHEMES = ("fp32", "bf16", "w8a8", "w8a8-kv8")


@dataclass(frozen=True)
class Table:
    rows: dict[str, dict[str, Any]]
    page: Path
    plot: Path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def evaluated(*arguments: object, json_file: Path) -> dict[str, dict[str, Any]]:
    """The rows by name."""
    result = run("evaluate", *arguments, "--json", json_file)
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(json_file.read_text())["rows"]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_model(tmp_path_factory.mktemp("model") / "gqa")
    (folder / "text.txt").write_text(TEXT)
    return folder


@pytest.fixture(scope="module")
def table(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """All schemes on `tiny`, with the files that can be written."""
    folder = tmp_path_factory.mktemp("table")
    page, plot, schemes = folder / "page.md", folder / "plot.svg", [word for each in SCHEMES for word in ("-q", each)]
    options = ("--text", model / "text.txt", "--window", 12, "-t", "tiny", "--prompt-length", 20, "-n", 2)
    rows = evaluated(model, *options, *schemes, "-o", page, "--plot", plot, json_file=folder / "rows.json")
    return Table(rows, page, plot)


@pytest.fixture
def no_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes a second, and most tests are about accuracy."""
    monkeypatch.setattr("slmc.evaluation.evaluating.cost_of_reference", lambda *_: None)
    monkeypatch.setattr("slmc.evaluation.evaluating.cost_of", lambda *_: None)


def log_softmax(row: Sequence[float]) -> list[float]:
    top = max(row)
    total = math.fsum(math.exp(value - top) for value in row)
    return [value - top - math.log(total) for value in row]


def by_hand(model: Path, scheme: str, size: int) -> tuple[float, float, float, int]:
    """Perplexity, divergence and agreement of the interpreters' logits, position by position; windows."""
    program, ids = load_program(model), ids_of(TEXT)
    module = lower(program, Options(load_machine("edge"), scheme, size), "slmq")
    losses, divergences, same, windows = [], [], 0, len(ids) // size
    for start in range(0, windows * size, size):
        window = ids[start : start + size]
        found = SlmqInterpreter(module, program.weights, size).run(window)[:-1]
        exact = interpret_slm(program, window, np.float32)[:-1]
        for row, other, target in zip(found.tolist(), exact.tolist(), window[1:], strict=True):
            q, p = log_softmax(row), log_softmax(other)
            losses.append(-q[target])
            divergences.append(math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True)))
            same += row.index(max(row)) == other.index(max(other))
    count = len(losses)
    return math.exp(math.fsum(losses) / count), math.fsum(divergences) / count, same / count, windows


def test_the_numbers_are_the_formulas(model: Path, table: Table) -> None:
    rows = table.rows
    assert list(rows) == ["fp32 (reference)", *SCHEMES]
    reference = rows["fp32 (reference)"]["accuracy"]
    for scheme in SCHEMES:
        perplexity, divergence, agreement, windows = by_hand(model, scheme, 12)
        accuracy = rows[scheme]["accuracy"]
        assert accuracy["predicted"] == windows * 11 == 44
        assert accuracy["perplexity"] == pytest.approx(perplexity, rel=1e-9)
        # fp32 logits of two matrix products differ in their last digits
        assert accuracy["kl"] == pytest.approx(divergence, rel=1e-4, abs=1e-10)
        assert accuracy["top1"] == agreement
        assert accuracy["perplexity_increase"] == accuracy["perplexity"] / reference["perplexity"] - 1
        assert [each["layer"] for each in accuracy["layers"]] == [0, 1]
    assert (reference["kl"], reference["top1"], reference["perplexity_increase"]) == (0, 1, 0)
    errors = [rows[scheme]["accuracy"]["layers"][0]["error"] for scheme in ("fp32", "bf16", "w8a8")]
    assert errors[0] < 1e-5 < 1e-3 < errors[1] < errors[2] < 0.1


def test_bytes_and_times_are_those_of_the_executable(model: Path, table: Table, tmp_path: Path) -> None:
    rows = table.rows
    assert rows["fp32 (reference)"]["cost"] == rows["fp32"]["cost"]
    stats, executable = tmp_path / "stats.json", tmp_path / "w8a8.slx"
    compiled = ("-t", "tiny", "-q", "w8a8", "--context", 512)
    assert run("compile", model, *compiled, "-o", executable).exit_code == 0
    timed = ("--timing-only", "--prompt-length", 20, "-n", 3)
    assert run("run", executable, *timed, "--stats", stats).exit_code == 0
    cost, report = rows["w8a8"]["cost"], json.loads(stats.read_text())
    assert cost["weight_bytes"] == slmc.Executable.open(executable).weights_bytes < rows["fp32"]["cost"]["weight_bytes"]
    assert (cost["context"], cost["prompt"], cost["decoded"], cost["fits"]) == (512, 20, 2, True)
    assert cost["decode"]["tokens_per_second"] == pytest.approx(report["decode"]["tokens_per_second"])
    assert cost["decode"]["joules_per_token"] == pytest.approx(report["decode"]["joules_per_token"])
    assert cost["prefill"]["milliseconds"] == pytest.approx(1e3 * report["prefill"]["seconds"])


def test_the_page_and_the_plot_hold_every_row(table: Table) -> None:
    rows, text = table.rows, table.page.read_text()
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert [line[0].removeprefix("| ") for line in lines[2:]] == list(rows)
    assert lines[4][1] == f"{rows['bf16']['accuracy']['perplexity']:.5f}"
    assert "-t tiny" in text and "-q w8a8-kv8" in text and "](plot.svg)" in text
    root = ElementTree.fromstring(table.plot.read_text())
    labels = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in rows:
        assert labels.count(name) == 2


@pytest.mark.parametrize("scheme", ["fp32", "w8a8-kv8"])  # w8a8: below, with a reference
def test_the_executable_gives_the_bits_of_the_interpreter(
    model: Path, table: Table, tmp_path: Path, scheme: str
) -> None:
    executable, numbers, plot = tmp_path / "model.slx", tmp_path / "a.json", tmp_path / "plot.svg"
    assert run("compile", model, "-t", "tiny", "-q", scheme, "--context", 12, "-o", executable).exit_code == 0
    result = run("evaluate", executable, "--text", model / "text.txt", "--json", numbers, "--plot", plot)
    assert result.exit_code == 0, result.output
    document = json.loads(numbers.read_text())
    (row,) = document["rows"]
    expected = table.rows[scheme]["accuracy"]
    for name in ("perplexity", "nll_mean", "predicted", "invalid"):
        assert row["accuracy"][name] == expected[name], name
    assert (document["reference"], document["window"], row["cost"]["context"]) == (None, 12, 12)
    assert [row["accuracy"][name] for name in ("kl", "top1", "perplexity_increase", "layers")] == [None, None, None, []]
    assert "there is no fp32 model to compare with" in result.stdout
    assert ">perplexity<" in plot.read_text()


def test_an_executable_against_its_checkpoint(model: Path, table: Table, tmp_path: Path) -> None:
    executable, text = tmp_path / "model.slx", ("--text", model / "text.txt")
    assert run("compile", model, "-t", "tiny", "--context", 12, "-o", executable).exit_code == 0
    rows = evaluated(executable, *text, "--reference", model, json_file=tmp_path / "a.json")
    assert list(rows) == ["fp32 (reference)", "w8a8"]
    assert rows["fp32 (reference)"]["accuracy"] == table.rows["fp32 (reference)"]["accuracy"]
    assert rows["w8a8"]["accuracy"] == table.rows["w8a8"]["accuracy"] | {"layers": []}
    assert rows["w8a8"]["cost"]["context"] == rows["fp32 (reference)"]["cost"]["context"] == 12


@pytest.mark.usefixtures("no_costs")
def test_a_text_shorter_than_a_window_is_one_window(model: Path, tmp_path: Path) -> None:
    result = run("evaluate", model, "--text", model / "text.txt", "--tokens", 7, "--json", tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "a.json").read_text())
    assert (document["tokens"], document["window"], document["windows"]) == (7, 7, 1)
    assert document["rows"][1]["accuracy"]["predicted"] == 6


@pytest.mark.usefixtures("no_costs")
def test_another_checkpoint_as_reference(model: Path, table: Table, tmp_path: Path) -> None:
    text = ("--text", model / "text.txt", "--window", 12, "-q", "bf16")
    result = run("evaluate", model, *text, "--random-weights", 3, "--reference", model, "--json", tmp_path / "a.json")
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in json.loads((tmp_path / "a.json").read_text())["rows"]}
    assert rows["fp32 (reference)"]["accuracy"] == table.rows["fp32 (reference)"]["accuracy"]
    assert rows["bf16"]["accuracy"]["kl"] > 0.1 > table.rows["bf16"]["accuracy"]["kl"]
    assert any("the residual stream is not the reference's" in note for note in rows["bf16"]["notes"])
    assert "other stream" in result.stdout
    assert table.rows["bf16"]["notes"] == []


@pytest.mark.usefixtures("no_costs")
def test_logits_that_overflow_are_told(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    weights = broken / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-4:] = np.array([3e38], "<f4").tobytes()
    weights.write_bytes(content)
    result = run("evaluate", broken, "--text", model / "text.txt", "-q", "fp32", "-t", "tiny", "--json", tmp_path / "a")
    assert result.exit_code == 0, result.output
    assert "positions have NaN or infinite logits" in result.stdout and " NaN " in result.stdout
    accuracy = json.loads((tmp_path / "a").read_text())["rows"][1]["accuracy"]
    assert accuracy["invalid"] > 0 and accuracy["perplexity"] is None and accuracy["kl"] is None


def test_a_scheme_that_fails_is_a_row(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slmc.evaluation.evaluating.Quantised", lambda *_: 1 // 0)
    monkeypatch.setattr("slmc.evaluation.evaluating.cost_of_reference", lambda *_: None)
    page, text = tmp_path / "page.md", model / "text.txt"
    result = run("evaluate", model, "--text", text, "--tokens", 9, "-o", page, "--json", tmp_path / "a", "-t", "tiny")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: 1 of 2 rows are not complete"
    assert "## What failed\n\n- w8a8: " in page.read_text()
    row = json.loads((tmp_path / "a").read_text())["rows"][1]
    assert row["accuracy"] is None and row["cost"]["weight_bytes"] > 0
    assert "ZeroDivisionError" in row["error"]


def test_the_reference_keeps_windows_while_there_is_room(model: Path) -> None:
    program = load_program(model)
    first, second = [1, 2, 3], [4, 5, 6]
    size_bytes = Reference(program).outputs(first).size_bytes
    reference = Reference(program, most_bytes=size_bytes)
    assert reference.outputs(first) is reference.outputs(first)
    assert reference.outputs(second) is not reference.outputs(second)


def test_storyteller_by_the_python_interface() -> None:
    text = (STORYTELLER / "heldout.txt").read_text()[:1500]
    evaluation = slmc.evaluate(STORYTELLER, text, ["w8a8"], tokens=300, window=100)
    reference, row = evaluation.rows
    assert (evaluation.windows, evaluation.window, evaluation.text) == (3, 100, "a text")
    assert reference.accuracy is not None and row.accuracy is not None and row.cost is not None
    assert 1.1 < (reference.accuracy.perplexity or 0) < 1.6
    assert abs(row.accuracy.perplexity_increase or 1) < 0.005
    assert 0 < (row.accuracy.kl or 0) < 1e-3
    assert (row.accuracy.top1 or 0) > 0.97
    assert [each.layer for each in row.accuracy.layers] == [0, 1, 2, 3]
    assert row.cost.weight_bytes == 4_379_648
