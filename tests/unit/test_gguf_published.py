"""GGUF files against the published implementation, through the `slm` interpreter: logits within 2e-4 everywhere.

Each checkpoint of `golden/published` is written as GGUF by rules of its own (`golden/gguf_converter.py`), in every type
that holds its values exactly; `golden/gguf` has the quantised types and the families whose published configs GGUF
metadata cannot say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from frontends import load_program
from frontends.errors import FrontendError
from tests.golden.gguf_converter import Quantize, Tensors, as_type, convert
from tests.unit.test_golden_data import read_config, read_weights

GOLDEN = Path(__file__).parents[1] / "golden"
PUBLISHED = sorted(path.parent.name for path in (GOLDEN / "published").glob("*/config.json"))
COMMITTED = sorted(path.stem for path in (GOLDEN / "gguf").glob("*.gguf"))
TOLERANCE = 2e-4
NOT_STORED = ("kosmos2", "opt", "opt_350m", "opt_no_bias")
"""Families that llama.cpp does not have."""
INEXPRESSIBLE = {
    "gemma2": "a score scale of its own; golden/gguf has one without",
    "gemma3": "a pattern of 3 layers; golden/gguf has the usual 6",
    "gemma3_linear": "a pattern of 2 layers; golden/gguf has its scaling too",
    "gpt2_scaled": "scores scaled by layer, and a width that is not four times the model's",
    "gpt_neox_sequential": "another activation",
    "lfm2_biases": "biases of convolutions",
    "longrope_factor": "the factors of longrope, which the converter writes for Phi-3 only",
    "mamba_biases": "biases of projections, and none of the convolution",
    "mistral_long_window": "the converter does not write the window of Mistral",
    "mistral_window": "the converter does not write the window of Mistral",
    "mixtral_window": "the converter does not write the window of Mixtral",
    "phi_qk_norm": "norms of q and k, for which the format has no names",
    "qwen2_window": "the converter does not write the window of Qwen 2",
    "smollm3": "another choice of layers without positions; golden/gguf has the usual one",
    "yarn_mscale": "mscale of yarn",
    "yarn_options": "the attention factor of yarn, which llama.cpp multiplies with one of its own",
}
BFLOAT16 = ("bf16", "transformers5_llama3")
"""Whose published weights are bf16 numbers."""


def written(name: str, path: Path, quantize: Quantize | None = None, **changes: Any) -> Path:
    tensors: Tensors = {key: value.astype(np.float32) for key, value in read_weights(name).items()}
    return convert(read_config(name) | changes, tensors, path, quantize)


def check(path: Path, vectors: Path) -> None:
    program = load_program(path)
    assert program.notes == []
    with np.load(vectors, allow_pickle=False) as golden:
        found = interpret_slm(program, golden["tokens"].tolist())
        np.testing.assert_allclose(found, golden["logits"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - set(INEXPRESSIBLE) - set(NOT_STORED)))
def test_published_checkpoints(name: str, tmp_path: Path) -> None:
    check(written(name, tmp_path / "model.gguf"), GOLDEN / "published" / name / "golden.npz")


@pytest.mark.parametrize("name", BFLOAT16)
def test_bfloat16(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path / "model.gguf", as_type(gguf.GGMLQuantizationType.BF16))
    assert load_program(path).weights.storage_dtype("layers.0.v.weight") == "bf16"
    check(path, GOLDEN / "published" / name / "golden.npz")


def test_minicpm(tmp_path: Path) -> None:
    """The Granite checkpoint with MiniCPM's arithmetic, under MiniCPM's metadata."""
    minicpm = {"model_type": "minicpm", "scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16}
    path = written("granite_minicpm", tmp_path / "model.gguf", **minicpm)
    assert load_program(path).architecture == "minicpm"
    check(path, GOLDEN / "published" / "granite_minicpm" / "golden.npz")


@pytest.mark.parametrize("name", COMMITTED)
def test_committed_files(name: str) -> None:
    check(GOLDEN / "gguf" / f"{name}.gguf", GOLDEN / "gguf" / f"{name}.npz")


def test_every_quantised_type_is_there() -> None:
    types = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "mxfp4", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"}
    assert {name.removeprefix("llama_") for name in COMMITTED if name.startswith("llama_")} == types
    for name in types:
        weights = load_program(GOLDEN / "gguf" / f"llama_{name}.gguf").weights
        assert weights.stored_type("layers.0.q.weight") == name.upper()
        assert weights.storage_dtype("layers.0.q.weight") == "f32"


@pytest.mark.parametrize("name", sorted(INEXPRESSIBLE))
def test_what_is_inexpressible_would_be_wrong(name: str, tmp_path: Path) -> None:
    """The list of exceptions does not hide a family that works."""
    with pytest.raises(
        (AssertionError, FrontendError),
        match="Not equal to tolerance|not read by|not used by|has no field|is linear|is not in",
    ):
        check(written(name, tmp_path / f"{name}.gguf"), GOLDEN / "published" / name / "golden.npz")


def test_a_window_in_a_llama_file_is_that_of_mistral(tmp_path: Path) -> None:
    """Other writers than llama.cpp's converter name it."""

    def window(writer: gguf.GGUFWriter) -> None:
        writer.add_sliding_window(read_config("mistral_window")["sliding_window"])

    tensors: Tensors = {key: value.astype(np.float32) for key, value in read_weights("mistral_window").items()}
    path = convert(read_config("mistral_window"), tensors, tmp_path / "model.gguf", vocabulary=window)
    check(path, GOLDEN / "published" / "mistral_window" / "golden.npz")


def test_experts_of_quantised_tensors(tmp_path: Path) -> None:
    """Each is its part of a tensor of three dimensions, and of older files a tensor of its own."""
    config = read_config("mixtral_window")
    tensors: Tensors = {key: value.astype(np.float32) for key, value in read_weights("mixtral_window").items()}
    kind = gguf.GGMLQuantizationType.Q8_0

    def quantize(name: str, values: Any) -> Any:
        if not name.endswith(("ffn_gate_exps.weight", "ffn_up_exps.weight")):
            return values, gguf.GGMLQuantizationType.F32
        return gguf.quantize(values, kind), kind

    weights = load_program(convert(config, tensors, tmp_path / "model.gguf", quantize)).weights
    for expert in range(config["num_local_experts"]):
        for name, hub, exact in (("gate", "w1", False), ("up", "w3", False), ("down", "w2", True)):
            stored = tensors[f"model.layers.1.block_sparse_moe.experts.{expert}.{hub}.weight"]
            expected = stored if exact else gguf.dequantize(gguf.quantize(stored, kind), kind)
            assert np.array_equal(weights.load(f"layers.1.experts.{expert}.{name}.weight"), expected)


def test_unread_metadata_is_reported(tmp_path: Path) -> None:
    path = written("gqa", tmp_path / "model.gguf")
    data = path.read_bytes().replace(b"llama.rope.freq_base", b"llama.rope.freq_bass")
    path.write_bytes(data)
    with pytest.raises(FrontendError, match=r"config field \.rope\.freq_bass: not read by llama\.slm"):
        load_program(path)
    assert len(load_program(path, allow_unread=True).notes) == 1
