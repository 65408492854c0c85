"""What `slmc quantize` says when it cannot: one line, and nothing is left behind."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from slmc.cli import main

ROOT = Path(__file__).parent.parent.parent
STORYTELLER = ROOT / "examples" / "storyteller"
GQA = ROOT / "tests" / "golden" / "published" / "gqa"
MIXTRAL = ROOT / "tests" / "golden" / "published" / "mixtral"


def failure(*arguments: object, code: int = 1) -> str:
    result = CliRunner().invoke(main, ["quantize", *map(str, arguments)])
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note:")]
    assert len(lines) == 1
    return lines[0]


def check_empty(folder: Path, *others: str) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(others)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "error: the calibration text is empty"),
        (b"  \n\t ", "error: the calibration text is empty"),
        (b"Once upon \xff a time", "error: is not UTF-8 text: byte 10 cannot be decoded"),
        (b"Once upon a time", "error: the calibration text is too short: expected at least 16 tokens, found"),
    ],
)
def test_bad_text(tmp_path: Path, content: bytes, message: str) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    found = failure(STORYTELLER, "-q", "w4a8", "--method", "gptq", "--text", text, "-o", tmp_path / "out")
    assert found.startswith(f"{text}: {message}")
    check_empty(tmp_path, "text.txt")


def test_text_that_is_not_there(tmp_path: Path) -> None:
    found = failure(STORYTELLER, "--method", "awq", "--text", tmp_path / "no.txt", "-o", tmp_path / "out")
    assert found == f"{tmp_path / 'no.txt'}: error: there is no such file"


def test_text_without_a_tokenizer(tmp_path: Path) -> None:
    text = STORYTELLER / "heldout.txt"
    found = failure(GQA, "--method", "awq", "--text", text, "-o", tmp_path / "out")
    assert found == (
        f"{GQA}: error: the checkpoint has no tokenizer for the calibration text; leave --text out: the model then writes a text itself"
    )


def test_more_tokens_than_the_model_has(tmp_path: Path) -> None:
    found = failure(STORYTELLER, "--method", "awq", "--tokens", 600, "-o", tmp_path / "out")
    assert found == "error: calibration takes at most 512 tokens of this model, found 600"


@pytest.mark.parametrize(("value", "what"), [(np.nan, "NaN"), (-np.inf, "infinity")])
@pytest.mark.parametrize("method", ["rtn", "smoothquant", "rotate", "gptq"])
@pytest.mark.parametrize("name", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_weights_that_are_no_numbers(tmp_path: Path, method: str, name: str, value: float, what: str) -> None:
    source = tmp_path / "source"
    shutil.copytree(GQA, source)
    path = source / "model.safetensors"
    content = bytearray(path.read_bytes())
    (length,) = struct.unpack("<Q", content[:8])
    entry = json.loads(content[8 : 8 + length])[name]
    assert entry["dtype"] == "F32"
    start = 8 + length + entry["data_offsets"][0]
    content[start : start + 4] = struct.pack("<f", value)
    path.write_bytes(content)
    own = {"model.norm.weight": "norm.weight"}.get(name, "layers.1.up.weight")
    expected = f'error: weight "{own}" holds {what}, which no format can stand for'
    arguments = ["--tokens", 16] if method != "rtn" else []
    assert failure(source, "-q", "w8a8", "--method", method, *arguments, "-o", tmp_path / "out") == expected
    check_empty(tmp_path, "source")


def test_groups_that_do_not_divide(tmp_path: Path) -> None:
    found = failure(GQA, "-q", "w4a8-g64", "-o", tmp_path / "out")
    assert found == (
        'error: weight "layers.0.down.weight": groups of 64 do not divide its 96 columns; groups of 32 would'
    )
    check_empty(tmp_path)


def test_sparsity_on_a_shape_that_does_not_take_it(tmp_path: Path) -> None:
    source = ROOT / "tests" / "golden" / "published" / "odd_sizes"
    found = failure(source, "-q", "w8a8-s24", "-o", tmp_path / "out")
    assert found == 'error: weight "layers.0.down.weight": 2:4 sparsity takes columns by eights, and it has 100'


def test_pruning_for_a_scheme_without_sparsity(tmp_path: Path) -> None:
    found = failure(GQA, "-q", "w8a8", "--method", "wanda", "--tokens", 16, "-o", tmp_path / "out")
    assert found == (
        "error: method wanda prunes to 2:4, and scheme w8a8 has no sparse weights; name a scheme with -s24"
    )


def test_unknown_method_and_scheme(tmp_path: Path) -> None:
    found = failure(GQA, "--method", "magic", "-o", tmp_path / "out")
    assert found.startswith('error: unknown method "magic"; known are rtn, smoothquant, awq, gptq')
    assert failure(GQA, "-q", "w3", "-o", tmp_path / "out").startswith('error: unknown scheme "w3"')


def test_sources_that_are_no_directory(tmp_path: Path) -> None:
    config = GQA / "config.json"
    found = failure(config, "--random-weights", 1, "-o", tmp_path / "out")
    assert found == (
        f"{config}: error: expected a directory with config.json and safetensors; convert a GGUF file to a Hugging Face directory first"
    )


def test_places_that_are_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for force in ([], ["--force"]):
        found = failure(GQA, "-o", out, *force)
        assert found == f"{out}: error: there is something else in this place; choose another name"
    assert (
        failure(GQA, "-o", tmp_path / "no" / "out") == f"{tmp_path / 'no'}: error: there is no such folder to write to"
    )
    check_empty(tmp_path, "out")
    check_empty(out, "mine.txt")


def test_a_quantised_model_is_replaced_on_demand_only(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert CliRunner().invoke(main, ["quantize", str(GQA), "-o", str(out)]).exit_code == 0
    before = (out / "model.safetensors").read_bytes()
    assert failure(GQA, "-q", "w8a16", "-o", out) == (
        f"{out}: error: there is a quantised model in this place; replace it with --force"
    )
    failure(GQA, "-q", "w4a8-g64", "-o", out, "--force")
    assert (out / "model.safetensors").read_bytes() == before
    result = CliRunner().invoke(main, ["quantize", str(GQA), "-q", "w4a8-g32", "-o", str(out), "--force"])
    assert result.exit_code == 0, result.output
    assert (out / "model.safetensors").read_bytes() != before
    check_empty(tmp_path, "out")


def test_rotation_of_a_model_with_layer_norms(tmp_path: Path) -> None:
    source = ROOT / "tests" / "golden" / "published" / "gpt2"
    found = failure(source, "--method", "rotate", "-o", tmp_path / "out")
    assert "gpt2.slm:" in found
    assert found.endswith(
        "error: a layer norm subtracts the mean of the residual, so the residual cannot be rotated; use a method without rotate"
    )
