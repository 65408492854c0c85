"""slmc survey: its numbers are those of slmc run, and what fails is in the table too."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slmc.cli import main
from slmc.survey import Row, Study, configs_of, document_of, survey
from slmc.survey_page import page_of
from tests.end_to_end.e2e_support import TINY_MODEL

SMALL = ("-t", "tiny", "--context", 96, "--prompt-length", 40, "-n", 3)


def slmc(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def write(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps(TINY_MODEL | changes))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a.json")
    write(tmp_path / "b.json", model_type="nobody's")
    write(tmp_path / "c.json", num_hidden_layers=2, max_position_embeddings=64)
    return tmp_path


def test_a_survey_has_the_numbers_of_the_runs(folder: Path) -> None:
    page, numbers, stats = folder / "page.md", folder / "out" / "numbers.json", folder / "stats.json"
    numbers.parent.mkdir()
    result = slmc("survey", folder, *SMALL, "-o", page, "--json", numbers)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: 1 of 3 models could not be measured"
    document = json.loads(numbers.read_text())
    assert (document["schema"], document["machine"], document["context"]) == (1, "tiny", 96)
    rows = {row["name"]: row for row in document["models"]}
    assert list(rows) == ["a", "b", "c"]
    assert rows["b"]["error"] == f'{folder}/b.json: error: unknown model_type "nobody\'s"'
    assert rows["b"]["decode"] is None
    timed = ("--timing-only", "--prompt-length", 40, "-n", 4, "-t", "tiny", "--stats", stats)
    for name, context in (("a", 96), ("c", 64)):
        assert slmc("run", folder / f"{name}.json", "--context", context, *timed).exit_code == 0
        report, row = json.loads(stats.read_text()), rows[name]
        assert row["context"] == report["program"]["context"] == context
        assert row["text_bytes"] == 16 * report["program"]["instructions"]
        assert row["prefill"]["milliseconds"] == pytest.approx(1e3 * report["prefill"]["seconds"])
        assert row["prefill"]["tokens_per_second"] == pytest.approx(40 / report["prefill"]["seconds"])
        assert report["decode"]["tokens"] == 3
        assert row["decode"]["tokens_per_second"] == pytest.approx(report["decode"]["tokens_per_second"])
        assert row["decode"]["joules_per_token"] == pytest.approx(report["decode"]["joules_per_token"])
        assert row["decode"]["ratio_to_floor"] == report["decode"]["ratio_to_floor"]
        errors = {one["phase"]: one["error"] for one in report["predictions"]}
        assert {phase: row[phase]["prediction_error"] for phase in errors} == errors and "decode" in errors
        assert (row["fits"], row["error"], row["notes"]) == (True, None, report["notes"])
    text = page.read_text()
    assert f"    slmc survey {folder} -t tiny --context 96 --prompt-length 40 -n 3 -o {page}\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table] == ["model", "---", "a", "c"]
    assert "## Not measured\n\n- `b`: " in text
    assert "Timing only: no tensor has values" in text


def test_a_model_too_large_for_the_machine_is_timed_and_marked(tmp_path: Path) -> None:
    edge = resources.files("isa").joinpath("machines/edge.toml").read_text("utf-8")
    machine = tmp_path / "small.toml"
    machine.write_text(edge.replace("{ value = 8589934592", "{ value = 1048576"))
    study = Study(str(machine), "fp32", 32, 2, 1)
    (row,) = survey([write(tmp_path / "large.json", vocab_size=12_000)], study)
    assert row.dram_bytes is not None and row.dram_bytes > 1 << 20
    assert row.fits is False
    assert any(note.startswith("needs ") for note in row.notes)
    cells = page_of([row], study, "x").splitlines()[-1].split(" | ")
    assert cells[4] == "no"


def test_whatever_fails_is_a_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slmc.survey.measure", lambda *_: 1 // 0)
    rows = list(survey([folder / "a.json"], Study()))
    assert [row.name for row in rows] == ["a"]
    assert "internal error, ZeroDivisionError" in (rows[0].error or "")
    assert document_of(rows, Study())["models"][0]["prefill"] is None


def test_a_prompt_that_does_not_fit_is_a_row(folder: Path) -> None:
    (row,) = survey([folder / "a.json"], Study("tiny", "w8a8", 40, 40, 1))
    assert row.error == "error: max_new is 2, expected 1 to 0 (context of 40 tokens)"


def test_folders_stand_for_their_configs(folder: Path) -> None:
    assert [path.name for path in configs_of([folder])] == ["a.json", "b.json", "c.json"]
    (folder / "config.json").write_text("{}")
    assert configs_of([folder, folder / "a.json"]) == [folder, folder / "a.json"]
    (folder / "empty").mkdir()
    result = slmc("survey", folder / "empty")
    assert (result.exit_code, result.stderr) == (
        1,
        f"{folder}/empty: error: there is no .json or .slm file in this folder\n",
    )
    assert slmc("survey", folder, "-t", "nothing").stderr.startswith("error: unknown machine 'nothing'")
    assert slmc("survey", folder, "-o", "/no/such/page.md").stderr.count("there is no such folder") == 1


def test_foreign_text_cannot_break_the_table() -> None:
    page = page_of([Row("x`|<b>", error="a | b\n# <script>")], Study(), "slmc survey")
    assert "a \\| b" in page
    assert "<script>" not in page


def test_several_machines_are_one_page(folder: Path) -> None:
    (folder / "b.json").unlink()
    page, numbers = folder / "page.md", folder / "numbers" / "numbers.json"
    numbers.parent.mkdir()
    result = slmc("survey", folder, *SMALL[2:], "-t", "tiny", "-t", "server", "-o", page, "--json", numbers)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["tiny, a: done", "tiny, c: done", "server, a: done", "server, c: done"]
    surveys = json.loads(numbers.read_text())["surveys"]
    assert [each["machine"] for each in surveys] == ["tiny", "server"]
    text = page.read_text()
    assert f"    slmc survey {folder} -t tiny -t server --context 96 --prompt-length 40 -n 3 -o {page}\n" in text
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    assert [line[:2] for line in lines] == [["`tiny`", "a"], ["`tiny`", "c"], ["`server`", "a"], ["`server`", "c"]]
    for each, (first, second) in zip(surveys, (lines[:2], lines[2:]), strict=True):
        for row, line in zip(each["models"], (first, second), strict=True):
            prefill, decode = row["prefill"], row["decode"]
            assert line[3:5] == [f"{prefill['cycles']:,.0f}", f"{prefill['ratio_to_floor']:.2f}"]
            assert line[6:8] == [f"{decode['cycles']:,.0f}", f"{decode['ratio_to_floor']:.2f}"]
            for phase in (prefill, decode):
                assert (phase["reason"] is not None) == (phase["ratio_to_floor"] > 1 / 0.7)
                assert phase["reason"] is None or f"%): {phase['reason']}.\n" in text
    assert any(row["prefill"]["reason"] for row in surveys[1]["models"])


def test_a_machine_that_a_model_does_not_fit_is_named(folder: Path) -> None:
    page = folder / "page.md"
    result = slmc("survey", folder / "b.json", *SMALL, "-t", "edge", "-o", page)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: 2 of 2 models could not be measured"
    assert "- `tiny`, b: " in page.read_text() and "- `edge`, b: " in page.read_text()
