"""Mutated and truncated inputs of the frontends give a FrontendError or a valid Program, and nothing else."""

from __future__ import annotations

import json
import struct
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontends import FrontendError, load_program
from frontends.language.checks import check
from frontends.language.parser import parse
from frontends.language.source import SourceText
from frontends.tokenizer import TextTokenizer
from frontends.weights.safetensors import SafetensorsFile

LLAMA = resources.files("frontends.architectures").joinpath("llama.slm").read_text(encoding="utf-8")
CONFIG: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "intermediate_size": 24, "rms_norm_eps": 1e-5, "hidden_act": "silu",
    "rope_theta": 10000.0, "max_position_embeddings": 64, "tie_word_embeddings": True, "sliding_window": None,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 32},
}  # fmt: skip
FAST = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

PIECES = [
    "(", ")", "[", "]", "{", "}", "->", "=", "+=", "?", "??", "..", ",", ":", ";", "\n", "#", '"', ".x", ".a.b", "if", "else",
    "for", "in", "not", "and", "or", "def", "return", "weights", "config", "layers", "i", "d", "x", "T", "null", "true", "0",
    "1", "1e300", "999999999999999999", "**", "//", "%", "-", "rotary(", "attention(", "embed", "linear(", "forward", "é",
    " ", "\\", "q_norm", "positions", "sum(", "split(", "{}", "{i}", '"{"', "require", "ignore",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, text: str, pieces: list[str]) -> str:
    """A few spans of the text deleted, doubled, or replaced by pieces; perhaps cut off."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(("replace", "insert", "double", "cut")))
        if kind == "replace":
            text = text[:start] + draw(st.sampled_from(pieces)) + text[end:]
        elif kind == "insert":
            text = text[:start] + "".join(draw(st.lists(st.sampled_from(pieces), max_size=4))) + text[start:]
        elif kind == "double":
            text = text[:end] + text[start:]
        else:
            text = text[:start]
    return text


@FAST
@given(text=mutated(LLAMA, PIECES))
def test_mutated_architecture(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.getbasetemp() / "slm"
    directory.mkdir(exist_ok=True)
    (directory / "model.slm").write_text(text, encoding="utf-8")
    (directory / "config.json").write_text(json.dumps(CONFIG))
    try:
        load_program(directory, random_seed=1).module.verify()
    except FrontendError as error:
        assert error.render().encode("utf-8")


@FAST
@given(text=st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join))
def test_random_tokens(text: str) -> None:
    try:
        check(parse(SourceText("random.slm", text)))
    except FrontendError as error:
        assert error.line >= 1


@FAST
@given(text=st.text(max_size=200))
def test_random_text(text: str) -> None:
    with pytest.raises(FrontendError):
        check(parse(SourceText("random.slm", text)))


@pytest.mark.parametrize(
    "piece", ["(", "[", "-", "not ", "{a: ", "x(", "x if ", "1 + ", "[x for i in ", "2 ** ", "a ?? "]
)
def test_deep_nesting(piece: str) -> None:
    for text in (f"config {{ x = {piece * 5000} }}", f"config {{ x = {piece * 5000}1 }}", piece * 5000):
        with pytest.raises(FrontendError):
            check(parse(SourceText("deep.slm", text)))


@pytest.mark.parametrize("opening", ["weights { g[i < 2] ", "def f(x) { if x ", "checkpoint hf { g[i] = "])
def test_deep_blocks(opening: str) -> None:
    word = opening.split("{ ")[1]
    text = opening + "{ " + (word + "{ ") * 5000 + "}" * 5002
    with pytest.raises(FrontendError):
        check(parse(SourceText("deep.slm", text)))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["silu", "llama3", "linear", 0, 1, 2, 3, 4096, 2**31, 1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip


@FAST
@given(
    changes=st.dictionaries(st.sampled_from(sorted(CONFIG)), JSON_VALUES, min_size=1, max_size=3),
    extra=st.dictionaries(
        st.sampled_from(["head_dim", "rope_parameters", "eos_token_id", "attention_bias"]), JSON_VALUES
    ),
    scaling=st.dictionaries(
        st.sampled_from(["rope_type", "type", "factor", "low_freq_factor", "divisors"]), JSON_VALUES
    ),
)
def test_mutated_config(
    changes: dict[str, Any], extra: dict[str, Any], scaling: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "config.json"
    config = {**CONFIG, "rope_scaling": {**CONFIG["rope_scaling"], **scaling}, **changes, **extra}
    path.write_text(json.dumps(config))
    try:
        load_program(path, random_seed=1).module.verify()
    except FrontendError as error:
        assert error.render().encode("utf-8")


@FAST
@given(
    text=mutated(json.dumps(CONFIG), ["{", "}", "[", "]", '"', ",", ":", "1e999", "NaN", "9" * 5000, "null", "\x00"])
)
def test_mutated_config_text(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_text(text)
    try:
        load_program(path, random_seed=1)
    except FrontendError as error:
        assert error.render().encode("utf-8")


def test_deep_json(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for depth in (100, 600, 100_000):
        path.write_text('{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(FrontendError, match="is nested too deeply"):
            load_program(path, random_seed=1)


def _safetensors(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


HEADER = json.dumps({
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
})  # fmt: skip
DATA = np.arange(32, dtype=np.uint8).tobytes()


def _read(content: bytes, path: Path) -> None:
    """Opens the file and loads every tensor that weights may have."""
    path.write_bytes(content)
    try:
        file = SafetensorsFile(path)
        for name, entry in file.entries.items():
            if entry.dtype in ("F32", "F16", "BF16"):
                assert file.load(name).shape == entry.shape
    except FrontendError as error:
        assert error.render().encode("utf-8")


HEADER_PIECES = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ",",
    ":",
    "-1",
    "0",
    "24",
    "99",
    "1e9",
    str(2**64),
    "F16",
    "F64",
    "BOOL",
    "XX",
    '"a"',
]


@FAST
@given(header=mutated(HEADER, HEADER_PIECES))
def test_mutated_safetensors_header(header: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    _read(_safetensors(header.encode(), DATA), tmp_path_factory.getbasetemp() / "a.safetensors")


@FAST
@given(
    flips=st.lists(st.tuples(st.integers(0, 8 + len(HEADER) + 31), st.integers(0, 255)), max_size=4),
    size=st.integers(0, 8 + len(HEADER) + 32),
)
def test_flipped_and_truncated_safetensors(
    flips: list[tuple[int, int]], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(_safetensors(HEADER.encode(), DATA))
    for position, value in flips:
        content[position] = value
    _read(bytes(content[:size]), tmp_path_factory.getbasetemp() / "b.safetensors")
    _read(bytes(content), tmp_path_factory.getbasetemp() / "b.safetensors")


@FAST
@given(length=st.integers(0, 2**64 - 1))
def test_lying_header_length(length: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    _read(_safetensors(HEADER.encode(), DATA, length), tmp_path_factory.getbasetemp() / "c.safetensors")


@FAST
@given(
    content=st.binary(max_size=64)
    | mutated('{"version":"1.0","model":{"type":"BPE"}}', ["{", "[", '"']).map(str.encode)
)
def test_random_tokenizer(content: bytes) -> None:
    try:
        TextTokenizer(content).decode([0, 1])
    except FrontendError as error:
        assert error.render().encode("utf-8")


@FAST
@given(
    index=st.dictionaries(st.sampled_from(["weight_map", "metadata"]), JSON_VALUES)
    | st.dictionaries(
        st.sampled_from(["model.norm.weight", "x"]),
        st.sampled_from(["../a.safetensors", "/etc/passwd", "a.safetensors", "missing.safetensors", "", "a/b", ".", 3]),
    ).map(lambda shards: {"weight_map": shards})
)
def test_mutated_index(index: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.getbasetemp() / "sharded"
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "a.safetensors").write_bytes(_safetensors(HEADER.encode(), DATA))
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(FrontendError):
        load_program(directory)
