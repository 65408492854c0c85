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
INEXPRESSIBLE = {
    "gemma2": "a score scale of its own; golden/gguf has one without",
    "gemma3": "a pattern of 3 layers; golden/gguf has the usual 6",
    "smollm3": "another choice of layers without positions; golden/gguf has the usual one",
    "qwen2_window": "the converter does not write the window of Qwen 2",
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


@pytest.mark.parametrize("name", sorted(set(PUBLISHED) - set(INEXPRESSIBLE)))
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
    types = {"q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"}
    assert {name.removeprefix("llama_") for name in COMMITTED if name.startswith("llama_")} == types
    for name in types:
        weights = load_program(GOLDEN / "gguf" / f"llama_{name}.gguf").weights
        assert weights.stored_type("layers.0.q.weight") == name.upper()
        assert weights.storage_dtype("layers.0.q.weight") == "f32"


def test_what_is_inexpressible_would_be_wrong(tmp_path: Path) -> None:
    """The list of exceptions does not hide a family that works."""
    for name in INEXPRESSIBLE:
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check(written(name, tmp_path / f"{name}.gguf"), GOLDEN / "published" / name / "golden.npz")


def test_unread_metadata_is_reported(tmp_path: Path) -> None:
    path = written("gqa", tmp_path / "model.gguf")
    data = path.read_bytes().replace(b"llama.rope.freq_base", b"llama.rope.freq_bass")
    path.write_bytes(data)
    with pytest.raises(FrontendError, match=r"config field \.rope\.freq_bass: not read by llama\.slm"):
        load_program(path)
    assert len(load_program(path, allow_unread=True).notes) == 1
