"""The script of the storyteller's table: rows survive being kept, and the page says what is worse than round to nearest."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import pytest

from slmc.evaluation.costs import Cost
from slmc.evaluation.rows import Accuracy, LayerError, Row
from slmc.survey import Phase

FOLDER = Path(__file__).parents[2] / "examples" / "storyteller"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        import quantization_table
    finally:
        sys.path.remove(str(FOLDER))
    return quantization_table


def row_with(name: str, kl: float, joules: float = 1e-3) -> Row:
    phase = Phase(1.0, 1000.0, joules, 1.5, "memory", 1e6)
    accuracy = Accuracy(1.25, 0.22, 0.01, kl, 0.99, 10, 0, (LayerError("layers", 0, 0.02),))
    return Row(name, False, accuracy, Cost(100, True, 512, 507, 4, phase, phase), ("a note",))


def test_a_row_survives_its_file(script: ModuleType) -> None:
    row = row_with("w8a8", 1e-4)
    assert script.row_of(json.loads(json.dumps(asdict(row)))) == row


def test_a_kept_row_of_other_data_does_not_count(script: ModuleType, tmp_path: Path) -> None:
    table, row = script.Table(tmp_path, 2), row_with("w8a8", 1e-4)
    assert table.kept("a.json") is None
    table.keep("a.json", row)
    assert script.Table(tmp_path, 2).kept("a.json") == row
    assert script.Table(tmp_path, 3).kept("a.json") is None
    assert "heldout" not in table.calibration.name
    held_out = (FOLDER / "heldout.txt").read_text()
    stories = [story for story in table.calibration.read_text().split(script.END) if story]
    assert len(stories) == script.CALIBRATION_STORIES
    assert not any(story in held_out for story in stories)


def test_the_page_tells_what_is_worse_and_what_is_missing(script: ModuleType, tmp_path: Path) -> None:
    rows = {
        script.Pair("w8a8", "rtn"): row_with("w8a8", 2e-4),
        script.Pair("w8a8", "awq"): row_with("w8a8", 1e-4),
        script.Pair("w8a8", "gptq"): row_with("w8a8", 3e-4),
    }
    assert list(script.worse_than_baseline(rows)) == ["`w8a8` by gptq: 3.00e-04 instead of 2.00e-04 nats"]
    assert [row.name for row in script.best_rows(rows)] == ["w8a8 awq"]
    reference = replace(row_with("fp32 (reference)", 0.0), is_reference=True)
    page = script.page_of(script.Table(tmp_path, 1), reference, rows, Path("plot.svg"))
    table = [[cell.strip() for cell in line.split("|")[1:4]] for line in page.splitlines() if line.startswith("|")]
    assert table[2:] == [
        ["fp32 (reference)", "", "1.25000"],
        ["w8a8", "rtn", "1.25000"],
        ["w8a8", "awq", "1.25000"],
        ["w8a8", "gptq", "1.25000"],
    ]
    assert "`w8a8` by smoothquant" in page.splitlines()[-1]
    assert "511 predicted tokens" in page


def test_methods_fit_their_schemes(script: ModuleType) -> None:
    assert script.methods_of("bf16") == ("rtn",)
    assert script.methods_of("mxfp4") == ("rtn", "awq", "gptq", "rotate+gptq")
    assert "smoothquant" in script.methods_of("w4a8") and "smoothquant" not in script.methods_of("w4a16")
    assert script.methods_of("w8a8-s24") == script.PRUNING
    assert "kv" in script.methods_of("w8a8-kv4")


def test_parts(script: ModuleType) -> None:
    assert script.part_of("2/3") == (2, 3)
    for text in ("0/2", "3/2", "1", "a/b", "-1/2"):
        with pytest.raises(argparse.ArgumentTypeError):
            script.part_of(text)
