"""`slmc quantize` from a checkpoint to tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from compiler.interpreters.slm import interpret_slm
from compiler.quantization.rounding import quantize
from compiler.schemes import find_scheme
from frontends import load_program
from slmc.cli import main

ROOT = Path(__file__).parent.parent.parent
PUBLISHED = ROOT / "tests" / "golden" / "published"
STORYTELLER = ROOT / "examples" / "storyteller"

OWN = """architecture own for "own"
weights {
  embed: embedding(40, 24)
  layers[i < 2] {
    norm: rms_norm(24, 1e-5)
    up, gate: linear(24 -> 36)
    down: linear(36 -> 24)
  }
  head: linear(24 -> 40)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers { x += down(silu(gate(norm(x))) * up(norm(x))) }
  return head(x)
}
checkpoint hf {
  embed = "wte"
  layers[i] = "h.{i}" {
    norm = "ln"
    up, gate, down = "{}"
  }
  head = "out"
}
"""


def run(*arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_round_to_nearest_of_a_tied_model(tmp_path: Path) -> None:
    out = tmp_path / "out"
    stdout, _ = run("quantize", STORYTELLER, "-q", "w4a8", "-o", out)
    assert stdout.startswith(f"{out}: w4a8 by rtn, ")
    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "slmc_quantization.json", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
    before, after = load_program(STORYTELLER), load_program(out)
    form = find_scheme("w4a8").matrix.weights
    for name in before.weights.names():
        values, stored = before.weights.load(name), after.weights.quantized(name)
        if stored is None:
            assert np.array_equal(after.weights.load(name), values)
            assert after.weights.stored_type(name) == "BF16"
        else:
            expected = quantize(values, form, name)
            assert np.array_equal(stored.q, expected.q) and np.array_equal(stored.scales, expected.scales)
    assert after.weights.alias_of("head.weight") is None
    assert (after.tokenizer_json, after.stop_tokens) == (before.tokenizer_json, before.stop_tokens)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("gqa", "w4a8-g32"),
        ("qwen2", "w8a8"),
        ("gqa", "w8a8-s24"),
        ("gqa", "w4a16-g32-zp"),
        ("gqa", "mxfp4"),
        ("gqa", "mxfp8"),
    ],
)
def test_round_to_nearest_gives_the_bits_of_rounding_while_compiling(tmp_path: Path, name: str, scheme: str) -> None:
    run("quantize", PUBLISHED / name, "-q", scheme, "-o", tmp_path / "out")
    logits: list[np.ndarray] = []
    for source in (PUBLISHED / name, tmp_path / "out"):
        file = tmp_path / "logits.npz"
        run("interpret", source, "-q", scheme, "--level", "slmq", "--tokens", "3,1,4,1,5,9", "--logits", file)
        logits.append(np.load(file)["logits"].view(np.uint32))
    assert np.array_equal(*logits)


def test_the_stored_numbers_are_what_runs(tmp_path: Path) -> None:
    """What gptq chose is not rounded again: the exact level of the scheme and the stored one give equal bits, and other than rtn."""
    logits: dict[str, np.ndarray] = {}
    for method, scheme in (("gptq", "w4a8-g32"), ("gptq", "stored_a8"), ("rtn", "w4a8-g32")):
        out, file = tmp_path / f"{method}-{scheme}", tmp_path / "logits.npz"
        run("quantize", PUBLISHED / "gqa", "-q", "w4a8-g32", "--method", method, "--tokens", 64, "-o", out)
        run("interpret", out, "-q", scheme, "--level", "slmq", "--tokens", "3,1,4,1,5,9", "--logits", file)
        logits[f"{method} {scheme}"] = np.load(file)["logits"].view(np.uint32)
    assert np.array_equal(logits["gptq w4a8-g32"], logits["gptq stored_a8"])
    assert not np.array_equal(logits["gptq w4a8-g32"], logits["rtn w4a8-g32"])


def test_ties_stay_where_nothing_changes(tmp_path: Path) -> None:
    run("quantize", STORYTELLER, "-q", "bf16", "-o", tmp_path / "out")
    before, after = load_program(STORYTELLER), load_program(tmp_path / "out")
    assert after.weights.alias_of("head.weight") == "embed.weight"
    for name in before.weights.names():
        assert np.array_equal(before.weights.load(name), after.weights.load(name))
        assert after.weights.quantized(name) is None


def test_other_commands_take_the_directory(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("quantize", STORYTELLER, "-q", "w4a8", "--method", "smoothquant", "--tokens", 32, "-o", out)
    record = json.loads((out / "slmc_quantization.json").read_text())
    assert record["calibration"] == {"source": "the model's own text, seed 0", "tokens": 32}
    stdout, _ = run("inspect", out)
    assert "i4-g64" in stdout and "layers.{}.down.weight" in stdout
    described = json.loads(run("inspect", out, "--json")[0])
    assert {weight["stored"] for weight in described["weights"]} == {"i4-g64", "F32", "BF16"}
    stdout, _ = run("interpret", out, "--tokens", "0,5,6,7")
    assert stdout.startswith("4 positions; the most probable next token is ")
    stdout, _ = run("tokenize", out, "--text", "Once upon a time")
    assert json.loads(stdout)


def test_experts_without_inputs_are_rounded_to_nearest(tmp_path: Path) -> None:
    """With few tokens some expert of some layer is never chosen; routers stay floats."""
    _, stderr = run(
        "quantize", PUBLISHED / "mixtral_top1", "-q", "w8a8", "--method", "gptq", "--tokens", 16, "-o", tmp_path / "out"
    )
    program = load_program(tmp_path / "out")
    kinds = {name.rsplit(".", 2)[-2]: program.weights.stored_type(name) for name in program.weights.names()}
    assert kinds["router"] in ("F32", "BF16") and kinds["gate"] == kinds["down"] == kinds["q"] == "i8"
    assert "the calibration gave no inputs to layers." in stderr and ": rounded to nearest" in stderr


@pytest.mark.parametrize(
    ("name", "scheme", "method"),
    [
        ("gqa", "w8a8", "rotate+gptq"), ("gqa", "w4a8-g32", "awq"), ("gqa", "w4a16-g32-zp", "gptq-act-order"),
        ("gqa", "w8a8-s24", "wanda+gptq"), ("gqa", "w4a8-g32-s24", "magnitude"), ("qwen2", "w8a8", "rotate+smoothquant"),
        ("mixtral", "w8a8", "awq"), ("gpt2", "w8a8", "smoothquant+kv"), ("opt", "w8a8-s24", "wanda"), ("mamba", "w8a8", "awq+gptq"),
        ("kosmos2", "w8a8", "gptq"), ("gemma3", "w8a8", "kv"), ("gqa", "mxfp4", "awq"), ("gqa", "mxfp4", "rotate+gptq"),
        ("gqa", "mxfp8", "gptq-act-order"), ("gqa", "mxfp4-kv4", "kv"),
    ],
)  # fmt: skip
def test_every_family_and_method_gives_a_model_near_its_own(
    tmp_path: Path, name: str, scheme: str, method: str
) -> None:
    out = tmp_path / "out"
    run("quantize", PUBLISHED / name, "-q", scheme, "--method", method, "--tokens", 48, "--seed", 5, "-o", out)
    program = load_program(out)
    record = json.loads((out / "slmc_quantization.json").read_text())
    assert (record["scheme"], record["method"]) == (scheme, method)
    tokens = list(range(3, 27))
    expected = interpret_slm(load_program(PUBLISHED / name), tokens, np.float32)
    found = interpret_slm(program, tokens, np.float32)
    correlation = np.corrcoef(expected.ravel(), found.ravel())[0, 1]
    assert correlation > (
        0.25 if "s24" in scheme else 0.6 if "fp4" in scheme else 0.7 if "w4" in scheme else 0.93
    )  # random weights have nothing to spare; powers of two as scales cost more than f16 ones
    if "s24" in scheme:
        stored = program.weights.quantized("layers.0.q.weight")
        assert stored is not None and np.count_nonzero(stored.q.reshape(-1, 4), axis=1).max() == 2


def test_a_model_of_its_own_language_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text('{"model_type": "own"}')
    (source / "own.slm").write_text(OWN)
    out = tmp_path / "out"
    run("quantize", source, "-q", "w8a8", "--random-weights", 3, "-o", out)
    before, after = load_program(source, random_seed=3), load_program(out)
    tokens = list(range(1, 9))
    expected, found = (interpret_slm(program, tokens, np.float32) for program in (before, after))
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.99
    assert any(after.weights.quantized(name) is not None for name in after.weights.names())


def test_text_that_is_not_needed_is_told(tmp_path: Path) -> None:
    _, stderr = run("quantize", STORYTELLER, "--text", STORYTELLER / "heldout.txt", "-o", tmp_path / "out")
    assert "note: method rtn looks at no inputs: --text is not used" in stderr
