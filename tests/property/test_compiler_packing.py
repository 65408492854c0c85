"""Packed weights unpack to the quantised matrix, whatever the strips and k-tiles; number formats against scalar arithmetic."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.emit.packing import Recipe, pack, quantize_rows, to_bf16
from compiler.errors import CompileError

SETTINGS = settings(deadline=None, derandomize=True, database=None)
DTYPES = {"f32": np.dtype("<f4"), "bf16": np.dtype("<u2"), "i8": np.dtype("i1")}


class Weights:
    """A weight store of given arrays."""

    def __init__(self, **arrays: NDArray[np.float32]):
        self.arrays = arrays

    def load(self, name: str) -> NDArray[np.float32]:
        return self.arrays[name]


def recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "kind": "strips", "key": "w", "format": "f32", "rows": 1, "columns": 1, "strip_rows": 16, "k_tile": 1,
        "bias": None, "scaled": False, "offset": 0.0,
    }  # fmt: skip
    return Recipe(**(fields | changes))  # type: ignore[arg-type]


def packed(made: Recipe, layer: int = 0, **arrays: NDArray[np.float32]) -> bytes:
    return b"".join(part.tobytes() for part in pack(made, Weights(**arrays), layer))  # type: ignore[arg-type]


def unpack(made: Recipe, data: bytes) -> tuple[NDArray[np.generic], NDArray[np.float32], NDArray[np.float32]]:
    """(matrix, scales, biases) read from the bytes by the description in packing.py."""
    dtype = DTYPES[made.format]
    matrix = np.empty((made.rows, made.columns), dtype)
    scales, biases = np.zeros(made.rows, np.float32), np.zeros(made.rows, np.float32)
    position = 0

    def take(count: int, of: np.dtype) -> NDArray[np.generic]:
        nonlocal position
        found = np.frombuffer(data, of, count, position)
        position += found.nbytes
        return found

    for first in range(0, made.rows, made.strip_rows):
        count = min(made.strip_rows, made.rows - first)
        for wanted, target in ((made.scaled, scales), (made.bias is not None, biases)):
            if wanted:
                header = take(made.strip_rows, np.dtype("<f4"))
                target[first : first + count] = header[:count]
                assert not header[count:].any()
        for column in range(0, made.columns, made.k_tile):
            width = min(made.k_tile, made.columns - column)
            part = take(count * width, dtype)
            matrix[first : first + count, column : column + width] = part.reshape(count, width)
    assert position == len(data)
    return matrix, scales, biases


@SETTINGS
@given(
    st.integers(1, 70), st.integers(1, 90), st.sampled_from([1, 16, 32, 48]), st.sampled_from([32, 64, 0]),
    st.sampled_from(["f32", "bf16", "i8"]), st.booleans(), st.integers(0, 9),
)  # fmt: skip
def test_strips_hold_the_matrix(
    rows: int, columns: int, strip_rows: int, k_tile: int, number_format: str, biased: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, columns)).astype(np.float32)
    matrix[rows // 2] = 0
    bias = random.normal(size=rows).astype(np.float32)
    made = recipe(
        rows=rows, columns=columns, strip_rows=strip_rows, k_tile=min(k_tile, columns) or columns,
        format=number_format, scaled=number_format == "i8", bias="b" if biased else None,
    )  # fmt: skip
    data = packed(made, w=matrix, b=bias)
    assert len(data) == made.size_bytes
    found, scales, biases = unpack(made, data)
    if biased:
        np.testing.assert_array_equal(biases, bias)
    if number_format == "f32":
        np.testing.assert_array_equal(found, matrix)
    elif number_format == "bf16":
        assert found[:, 0].tolist() == [bf16_of(float(value)) for value in matrix[:, 0]]
    else:
        for row in {0, rows // 2, rows - 1}:
            expected, scale = quantized_row([float(value) for value in matrix[row]])
            assert found[row].tolist() == expected
            assert float(scales[row]) == scale


def f32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def quantized_row(row: list[float]) -> tuple[list[int], float]:
    """docs/numerics.md, in scalars: s = f32(amax * f32(1/127)), 1 if 0; q = RNE(f32(w / s)), |q| <= 127."""
    scale = f32(max(abs(value) for value in row) * f32(1 / 127)) or 1.0
    return [max(-127, min(127, round(f32(value / scale)))) for value in row], scale


def bf16_of(value: float) -> int:
    """The nearest of the two neighbours, the even one of equals, by exact fractions."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    if value != value:
        return 0x7FC0
    low, high = bits >> 16, (bits >> 16) + 1
    if bits & 0xFFFF == 0 or low & 0x7FFF == 0x7F80:
        return low
    exact, below = Fraction(abs(value)), magnitude(low)
    above = magnitude(high)
    if exact - below != above - exact:
        return low if exact - below < above - exact else high
    return low if low % 2 == 0 else high


def magnitude(bits: int) -> Fraction:
    """Of bf16 bits; infinity counts as the next power of two."""
    exponent, mantissa = bits >> 7 & 0xFF, bits & 0x7F
    if exponent == 0:
        return Fraction(mantissa) * Fraction(2) ** (-126 - 7)
    return Fraction(128 + mantissa) * Fraction(2) ** (exponent - 127 - 7)


EDGES = [0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x00008000, 0x00018000, 0x3F808000, 0x3F818000]


@SETTINGS
@given(st.lists(st.integers(0, 2**32 - 1).filter(lambda b: b & 0x7FFFFFFF <= 0x7F800000), min_size=1, max_size=40))
def test_bf16_is_the_nearest(words: list[int]) -> None:
    values = np.array(EDGES + words, np.uint32).view(np.float32)
    assert to_bf16(values).tolist() == [bf16_of(float(value)) for value in values]


def test_bf16_of_nan_is_canonical() -> None:
    words = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001, 0xFFC12345, 0x3F800000], np.uint32)
    assert to_bf16(words.view(np.float32)).tolist() == [0x7FC0] * 4 + [0x3F80]


def test_quantised_ends_and_ties() -> None:
    rows = np.array([[127.0, -127.0, 0.5, 1.5, -2.5, 126.5], [0, 0, 0, 0, 0, -0.0]], np.float32)
    quantized, scales = quantize_rows(rows)
    assert scales.tolist() == [quantized_row(rows[0].tolist())[1], 1.0]
    assert quantized.tolist() == [quantized_row(rows[0].tolist())[0], [0] * 6]


def test_rows_and_vectors() -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    made = recipe(kind="rows", rows=4, columns=3)
    assert np.frombuffer(packed(made, w=table), np.float32).tolist() == list(range(12))
    made = recipe(kind="rows", format="bf16", rows=4, columns=3)
    assert np.frombuffer(packed(made, w=table), np.uint16).tolist() == [bf16_of(float(n)) for n in range(12)]
    made = recipe(kind="vector", rows=1, columns=3, offset=1.0)
    norm = np.array([0.1, -1.0, 3e-8], np.float32)
    assert np.frombuffer(packed(made, w=norm), np.float32).tolist() == [f32(float(v) + 1.0) for v in norm]


def test_the_layer_chooses_the_tensor() -> None:
    arrays = {f"layers.{n}.w": np.full((1, 1), n, np.float32) for n in range(3)}
    made = recipe(key="layers.{i}.w", rows=1, columns=1)
    assert np.frombuffer(packed(made, 2, **arrays), np.float32).tolist() == [2.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["strips", "rows", "vector"])
def test_weights_that_are_not_finite_are_named(kind: str, bad: float) -> None:
    matrix = np.ones((1, 40), np.float32)
    matrix[0, 33] = bad
    made = recipe(kind=kind, key="layers.{i}.w", rows=1, columns=40, k_tile=32, format="f32")
    with pytest.raises(CompileError, match=r'^weight "layers.1.w" holds NaN or infinity$'):
        packed(made, 1, **{"layers.1.w": matrix})


def test_a_bias_that_is_not_finite_is_named() -> None:
    made = recipe(rows=2, columns=1, bias="b")
    with pytest.raises(CompileError, match=r'^weight "b" holds NaN or infinity$'):
        packed(made, w=np.ones((2, 1), np.float32), b=np.array([1, np.nan], np.float32))
