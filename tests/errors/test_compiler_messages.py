"""What the compiler says when it cannot: exact messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.driver import Options, compile_program, lower
from compiler.errors import CompileError
from compiler.program import Rows
from tests.end_to_end.e2e_support import machine, options, tiny_program, with_weights


def message_of(program: Any, chosen: Options, folder: Path | None = None) -> str:
    """The rendered error of a compilation."""
    with pytest.raises(CompileError) as caught:
        if folder is None:
            lower(program, chosen)
        else:
            compile_program(program, chosen, folder / "model.slx")
    return caught.value.render()


def test_unknown_scheme() -> None:
    assert message_of(tiny_program(), options("edge", "int3")) == (
        'error: unknown scheme "int3"\n  hint: known are fp32, fp16, bf16, w8a8, w8a16, w4a8, w4a16, mxfp8, mxfp4, stored_a8, '
        "stored_a16, with -g32 -g64 -g128 (columns of a group), -zp (offsets), -s24 (2:4 sparsity), -kv8 -kv4 (KV cache)"
    )


@pytest.mark.parametrize(
    ("name", "bits", "attention"), [("fp32-kv4", 4, "f32"), ("fp16-kv4", 4, "f16"), ("fp32-kv8", 8, "f32")]
)
def test_a_quantised_cache_needs_attention_in_bf16(name: str, bits: int, attention: str) -> None:
    expected = f'error: scheme "{name}": an int{bits} KV cache needs attention in bf16, and it is {attention}'
    assert message_of(tiny_program(), options("edge", name)) == expected


@pytest.mark.parametrize("context", [0, -5, (1 << 20) + 1])
def test_senseless_context(context: int) -> None:
    expected = f"error: the context is {context}, expected 1 to 1048576 positions"
    assert message_of(tiny_program(max_position_embeddings=None), options(context=context)) == expected


def test_context_longer_than_the_models() -> None:
    assert message_of(tiny_program(), options(context=2049)) == (
        "error: a context of 2049 is longer than the model's 2048 positions"
    )
    lower(tiny_program(), options(context=2048, chunk=4))


def test_context_longer_than_dynamic_scaling() -> None:
    """llama.slm takes 2048 positions where the config says nothing, so that the model itself has no limit."""
    program = tiny_program(max_position_embeddings=None, rope_scaling={"rope_type": "dynamic", "factor": 2.0})
    assert message_of(program, options(context=2049)) == (
        "error: a context of 2049 is longer than the 2048 positions of the model's dynamic rope scaling\n"
        "  hint: beyond them the frequencies change with every token"
    )
    lower(program, options(context=2048, chunk=4))


@pytest.mark.parametrize("chunk", [-1, 257, 100_000])
def test_chunk_out_of_range(chunk: int) -> None:
    assert message_of(tiny_program(), options(chunk=chunk)) == (
        f"error: the chunk is {chunk} tokens, expected 1 to 256, or 0 to let the compiler choose"
    )


def test_a_chunk_that_does_not_fit() -> None:
    message = message_of(tiny_program(), options("tiny", "fp32", chunk=256))
    assert re.fullmatch(
        r"error: the smallest plan needs \d+ bytes of SRAM, the machine has 65536\n"
        r"  hint: leave the chunk to the compiler",
        message,
    )


def test_a_model_that_fits_no_plan() -> None:
    wide = tiny_program(hidden_size=6000, num_hidden_layers=1)
    found = re.search(r"needs (\d+) bytes of SRAM, the machine has 16384$", message_of(wide, small()), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > 16384


def small() -> Options:
    return Options(machine("tiny", 16384), "w8a8", 64, 1)


class Spoilt:
    """A weight store with one wrong number."""

    def __init__(self, weights: Any, name: str, value: float):
        self.weights, self.name, self.value = weights, name, value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.weights, name)

    def load(self, name: str) -> np.ndarray:
        values = self.weights.load(name).copy()
        if name == self.name:
            values.reshape(-1)[-1] = self.value
        return values

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__


NAMES = ["embed.weight", "layers.0.q.weight", "layers.0.q.bias", "layers.0.attn_norm.weight", "norm.weight"]


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_not_finite(name: str, scheme: str, tmp_path: Path) -> None:
    program = tiny_program(attention_bias=True)
    assert name in program.weights.names()
    for value in (np.nan, -np.inf):
        spoilt = with_weights(program, Spoilt(program.weights, name, value))
        expected = f'error: weight "{name}" holds NaN or infinity'
        assert message_of(spoilt, options("edge", scheme), tmp_path) == expected
        assert list(tmp_path.iterdir()) == []  # no half-written file


def test_an_existing_file_survives_a_failed_compilation(tmp_path: Path) -> None:
    program = tiny_program()
    compile_program(program, options(), tmp_path / "model.slx")
    before = (tmp_path / "model.slx").read_bytes()
    message_of(with_weights(program, Spoilt(program.weights, "norm.weight", np.nan)), options(), tmp_path)
    assert (tmp_path / "model.slx").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.slx"]
