"""Hostile GGUF files: flipped bytes, cut ends, lying counts and lengths end in a FrontendError or a model, never otherwise."""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontends import FrontendError, load_program
from frontends.gguf.checkpoint import GgufCheckpoint
from frontends.gguf.header import read_header
from frontends.gguf.text import read_text_files
from frontends.tokenizer import TextTokenizer
from tests.golden.gguf_converter import as_type, convert
from tests.unit.gguf_vocabularies import write_byte_level, write_sentencepiece

FAST = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CONFIG = {
    "model_type": "llama", "vocab_size": 8, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 32, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0},
}  # fmt: skip
SHAPES = {
    "model.embed_tokens": (8, 32), "model.norm": (32,), "lm_head": (8, 32), "model.layers.0.input_layernorm": (32,),
    "model.layers.0.post_attention_layernorm": (32,), "model.layers.0.self_attn.q_proj": (32, 32),
    "model.layers.0.self_attn.k_proj": (16, 32), "model.layers.0.self_attn.v_proj": (16, 32),
    "model.layers.0.self_attn.o_proj": (32, 32), "model.layers.0.mlp.gate_proj": (32, 32),
    "model.layers.0.mlp.up_proj": (32, 32), "model.layers.0.mlp.down_proj": (32, 32),
}  # fmt: skip
EDGES = [0, 1, 2, 3, 7, 31, 32, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


@cache
def model_file() -> bytes:
    with TemporaryDirectory() as folder:
        tensors = {f"{name}.weight": np.ones(shape, np.float32) for name, shape in SHAPES.items()}
        path = convert(CONFIG, tensors, Path(folder) / "a.gguf", as_type(gguf.GGMLQuantizationType.Q4_0))
        return path.read_bytes()


@cache
def vocabulary_file(kind: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.gguf"
        return (write_sentencepiece(path, True) if kind == "llama" else write_byte_level(path, kind)).read_bytes()


def load_all(path: Path) -> None:
    """Everything that is read from a file: the program, every weight, the tokenizer."""
    try:
        program = load_program(path, allow_unread=True)
        for name in program.weights.names():
            assert program.weights.load(name).shape == program.weights.shape(name)
    except FrontendError as error:
        assert error.render().encode("utf-8")


def read_all(path: Path) -> None:
    try:
        header = read_header(path)
        checkpoint = GgufCheckpoint(header)
        for name in checkpoint.tensor_names():
            if checkpoint.tensor_type(name) in checkpoint.weight_types:
                assert checkpoint.load_tensor(name).shape == checkpoint.tensor_shape(name)
        files = read_text_files(header)
        if files.tokenizer_json is not None:
            TextTokenizer(files.tokenizer_json).encode("the fox")
    except FrontendError as error:
        assert error.render().encode("utf-8")


def test_the_file_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(model_file())
    assert load_program(tmp_path / "a.gguf").notes == []


@FAST
@given(data=st.data())
def test_mutated_model(data: st.DataObject, tmp_path: Path) -> None:
    content = bytearray(model_file())
    header_bytes = len(content) - 5000
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, header_bytes))
        content[position] = data.draw(st.integers(0, 255))
    size = data.draw(st.sampled_from([len(content)] * 3 + [header_bytes, 100, 30, 3]))
    (tmp_path / "a.gguf").write_bytes(content[:size])
    load_all(tmp_path / "a.gguf")


@FAST
@given(position=st.integers(0, 1200), value=st.sampled_from(EDGES), wide=st.booleans())
def test_lying_numbers(position: int, value: int, wide: bool, tmp_path: Path) -> None:
    """Counts, lengths, dimensions, offsets and types of extreme size, wherever a number may stand."""
    content = bytearray(model_file())
    number = struct.pack("<Q", value) if wide else struct.pack("<I", value % 2**32)
    content[position : position + len(number)] = number
    (tmp_path / "a.gguf").write_bytes(content)
    load_all(tmp_path / "a.gguf")


@settings(FAST, max_examples=60)
@given(data=st.data(), kind=st.sampled_from(["llama", "gpt-2", "qwen2"]))
def test_mutated_vocabulary(data: st.DataObject, kind: str, tmp_path: Path) -> None:
    content = bytearray(vocabulary_file(kind))
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position] = data.draw(st.sampled_from([0, 1, 3, 5, 9, 32, 65, 128, 255]))
    (tmp_path / "a.gguf").write_bytes(content)
    read_all(tmp_path / "a.gguf")


@FAST
@given(content=st.binary(max_size=200))
def test_random_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + content)
    read_all(tmp_path / "a.gguf")


@pytest.mark.parametrize("count", [2**21 + 1, 2**40, 2**64 - 1])
@pytest.mark.parametrize("kind", [0, 7, 8, 12])
def test_lying_arrays_take_no_memory(count: int, kind: int, tmp_path: Path) -> None:
    key = struct.pack("<Q", 1) + b"a"
    array = struct.pack("<IIQ", 9, kind, count)
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + key + array + bytes(64))
    with pytest.raises(FrontendError, match="all arrays together have at most 2097152"):
        read_header(tmp_path / "a.gguf")
