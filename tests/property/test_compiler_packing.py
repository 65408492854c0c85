"""Packed weights unpack to the quantised matrix, whatever the k-tiles; number formats against scalar arithmetic."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.emit.packing import pack, to_bf16
from compiler.emit.recipes import Recipe
from compiler.errors import CompileError
from compiler.formats import Quantized, WeightFormat
from compiler.program import Rows
from isa.addressing import element_place
from isa.descriptor import Descriptor
from isa.spec import FMT_BLOCKED, Dtype, Region
from tests.unit import numerics_reference as reference

SETTINGS = settings(deadline=None, derandomize=True, database=None)


class Weights:
    """A weight store of given arrays, one of them stored in its format."""

    def __init__(self, stored: Quantized | None = None, **arrays: NDArray[np.float32]):
        self.arrays, self.stored = arrays, stored

    def integer_format(self, name: str) -> WeightFormat | None:
        return self.stored.format if name == "w" and self.stored is not None else None

    def quantized(self, name: str) -> Quantized | None:
        return self.stored if name == "w" else None

    def load(self, name: str) -> NDArray[np.float32]:
        return self.arrays[name]

    def rows_of(self, name: str) -> Rows:
        return self.arrays[name].__getitem__


def recipe(**changes: object) -> Recipe:
    fields: dict[str, object] = {
        "kind": "matrix", "key": "w", "format": "f32", "rows": 1, "columns": 1, "k_tile": 8, "bias": None,
        "offset": 0.0,
    }  # fmt: skip
    fields |= changes
    return Recipe(**(fields | {"format": WeightFormat.of(str(fields["format"]))}))  # type: ignore[arg-type]


def packed(made: Recipe, layer: int = 0, stored: Quantized | None = None, **arrays: NDArray[np.float32]) -> bytes:
    return b"".join(part.tobytes() for make in pack(made, Weights(stored, **arrays), layer) for part in make())  # type: ignore[arg-type]


class Reader:
    """Numbers of a file, one after the other."""

    def __init__(self, data: bytes):
        self.data, self.position = data, 0

    def take(self, count: int, of: str) -> list[float]:
        found = np.frombuffer(self.data, of, count, self.position)
        self.position += found.nbytes
        return found.tolist()

    def nibbles(self, count: int) -> list[int]:
        """Low nibble first; a nibble stores value + 8."""
        stored = [int(byte) for byte in self.take(count // 2, "u1")]
        return [nibble - 8 for byte in stored for nibble in (byte & 15, byte >> 4)]

    def sparse_row(self, columns: int, form: WeightFormat) -> list[float]:
        """One row of a k-tile, by docs/numerics.md section 3."""
        kept = self.nibbles(columns // 2) if form.element == "i4" else self.take(columns // 2, "i1")
        codes = [int(byte) >> shift & 3 for byte in self.take(columns // 8, "u1") for shift in (0, 2, 4, 6)]
        assert all(first < second for first, second in zip(codes[::2], codes[1::2], strict=True))
        row: list[float] = [0] * columns
        for place, (value, code) in enumerate(zip(kept, codes, strict=True)):
            row[place // 2 * 4 + code] = value
        return row

    def blocks(self, rows: int, columns: int, dtype: Dtype) -> list[list[float]]:
        """Blocked rows, each number found by the address formula of the instruction set."""
        plain = Descriptor(self.position, Region.WEIGHT, dtype, (columns, rows, 1, 1), (0, 0, 0, 0), 5, FMT_BLOCKED)
        d = replace(plain, strides=(0, plain.block_bytes(), 0, 0))
        self.position = d.interval()[1]
        return [[self.number(d, k, n) for k in range(columns)] for n in range(rows)]

    def number(self, d: Descriptor, k: int, n: int) -> float:
        place = element_place(d, (k, n, 0, 0))
        if d.dtype == Dtype.I4:
            return (self.data[place.address] >> place.low_bit & 15) - 8
        if d.dtype == Dtype.E2M1:
            return self.data[place.address] >> place.low_bit & 15
        of = {
            Dtype.F32: "<f4",
            Dtype.F16: "<f2",
            Dtype.BF16: "<u2",
            Dtype.I8: "i1",
            Dtype.E4M3: "u1",
            Dtype.E8M0: "u1",
        }[d.dtype]
        return np.frombuffer(self.data, of, 1, place.address).tolist()[0]


@dataclass
class Unpacked:
    matrix: list[list[float]]
    scales: list[list[float]]
    biases: list[float]
    offsets: list[list[float]]


def unpack(made: Recipe, data: bytes) -> Unpacked:
    """Read from the bytes by the description in weight_layout.py."""
    form, groups, reader = made.format, made.columns // made.format.group if made.format.group else 0, Reader(data)
    found = Unpacked([], [], [], [])
    zero = -8 if form.element == "i4" else 0

    def used(rows: list[list[float]], count: int, zero: float = 0) -> list[list[float]]:
        """The bytes of what is not used are 0; `zero` is the number they stand for."""
        assert all(number == zero for row in rows[count:] for number in row)
        return rows[:count]

    def array() -> list[list[float]]:
        """A number for each row, with room for those of whole blocks."""
        return used([reader.take(1, "<f4") for _ in range(-(-made.rows // 16) * 16)], made.rows)

    def numbers(count: int) -> None:
        """Scales and offsets of the groups of a block, of which `count` rows are used."""
        if form.element in reference.MICROSCALED:
            codes = used(reader.blocks(16, groups, Dtype.E8M0), count)
            found.scales.extend([2.0 ** (code - 127) for code in row] for row in codes)
        elif form.group:
            found.scales.extend(used(reader.blocks(16, groups, Dtype.F16), count))
        if form.offsets:
            found.offsets.extend(used(reader.blocks(16, groups, Dtype.F16), count))

    blocks = [min(16, made.rows - first) for first in range(0, made.rows, 16)]
    if form.is_quantized and not form.group:
        found.scales = array()
    if made.bias is not None:
        found.biases = [row[0] for row in array()]
    if form.sparse:
        for count in blocks:
            numbers(count)
        found.matrix = [[] for _ in range(made.rows)]
        for column in range(0, made.columns, made.k_tile):
            width = min(made.k_tile, made.columns - column)
            found.matrix = [row + reader.sparse_row(width, form) for row in found.matrix]
    else:
        for count in blocks:
            numbers(count)
            found.matrix += used(reader.blocks(16, made.columns, Dtype[form.element.upper()]), count, zero)
    assert reader.position == len(data)
    return found


FORMATS = [
    "f32", "f16", "bf16", "i8", "i8-s24", "i8-g32", "i8-g64", "i8-g32-s24", "i8-g128-s24",
    "i4-g32", "i4-g64", "i4-g128", "i4-g32-zp", "i4-g64-zp", "i4-g32-s24", "i4-g64-s24", "e2m1-g32", "e4m3-g32",
]  # fmt: skip


@settings(SETTINGS, max_examples=60)
@given(
    st.integers(1, 70), st.integers(1, 90), st.sampled_from([1, 2, 3, 0]),
    st.sampled_from(FORMATS), st.booleans(), st.integers(0, 9),
)  # fmt: skip
def test_blocks_hold_the_matrix(rows: int, columns: int, tile_units: int, text: str, biased: bool, seed: int) -> None:
    form = WeightFormat.of(text)
    unit = form.group or (8 if form.sparse else 1)
    columns = (columns % 3 + 1) * unit if form.group else -(-columns // unit) * unit
    tile = tile_units * (form.group or (64 if form.sparse else 32))
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, columns)).astype(np.float32)
    matrix[rows // 2] = 0
    bias = random.normal(size=rows).astype(np.float32)
    made = recipe(
        rows=rows, columns=columns, k_tile=min(tile, columns) or columns, format=text,
        bias="b" if biased else None,
    )  # fmt: skip
    data = packed(made, w=matrix, b=bias)
    assert len(data) == made.size_bytes
    found = unpack(made, data)
    assert found.biases == (bias.tolist() if biased else [])
    if not form.is_quantized:
        assert found.matrix == float_bits(matrix, text)
        return
    expected = reference.quantize_weight(matrix, reference.Form(form.element, form.group, form.offsets, form.sparse))
    assert found.matrix == expected.q
    assert found.scales == [[float(scale) for scale in row] for row in expected.scales]
    assert found.offsets == ([[float(m) for m in row] for row in expected.offsets] if form.offsets else [])


def float_bits(matrix: NDArray[np.float32], element: str) -> list[list[float]]:
    """f32 and f16 as numbers, bf16 as bits."""
    if element == "f32":
        return matrix.tolist()
    if element == "f16":
        return [[struct.unpack("<e", struct.pack("<e", float(value)))[0] for value in row] for row in matrix]
    return [[bf16_of(float(value)) for value in row] for row in matrix]


@SETTINGS
@given(st.integers(1, 40), st.integers(1, 4), st.sampled_from(["i8-g32", "i4-g32", "i4-g32-zp"]), st.integers(0, 9))
def test_stored_matrices_are_packed_as_they_are(rows: int, groups: int, text: str, seed: int) -> None:
    form, random = WeightFormat.of(text), np.random.default_rng(seed)
    bound = 128 if form.element == "i8" else 8
    q = random.integers(-bound, bound, (rows, 32 * groups)).astype(np.int8)
    scales, offsets = (random.normal(size=(rows, groups)).astype(np.float16) for _ in range(2))
    stored = Quantized(form, q, scales, offsets if form.offsets else None)
    made = recipe(rows=rows, columns=32 * groups, k_tile=32 * groups, format=text)
    found = unpack(made, packed(made, stored=stored))
    assert found.matrix == q.tolist()
    assert found.scales == scales.tolist()
    assert found.offsets == (offsets.tolist() if form.offsets else [])


@SETTINGS
@given(st.integers(1, 40), st.integers(1, 4), st.sampled_from([("e2m1", 16), ("e4m3", 127)]), st.integers(0, 9))
def test_stored_codes_are_packed_as_they_are(rows: int, groups: int, kind: tuple[str, int], seed: int) -> None:
    random = np.random.default_rng(seed)
    q = random.integers(0, kind[1], (rows, 32 * groups)).astype(np.uint8)
    scales = random.integers(0, 255, (rows, groups)).astype(np.uint8)
    form = WeightFormat(kind[0], 32)
    made = recipe(rows=rows, columns=32 * groups, k_tile=32, format=str(form))
    found = unpack(made, packed(made, stored=Quantized(form, q, scales)))
    assert found.matrix == q.tolist()
    assert found.scales == [[2.0 ** (int(code) - 127) for code in row] for row in scales]


@pytest.mark.parametrize("where", ["q", "scales"])
def test_stored_codes_that_are_nan_are_named(where: str) -> None:
    q, scales = np.ones((20, 64), np.uint8), np.full((20, 2), 127, np.uint8)
    (q if where == "q" else scales)[17, 1] = 0xFF
    made = recipe(rows=20, columns=64, k_tile=64, format="e4m3-g32")
    with pytest.raises(CompileError, match=r'^weight "w" holds NaN or infinity$'):
        packed(made, stored=Quantized(made.format, q, scales))


def test_matrices_stored_in_another_format_are_rounded() -> None:
    matrix = np.random.default_rng(3).normal(size=(3, 64)).astype(np.float32)
    stored = Quantized(WeightFormat("i8", 32), np.ones((3, 64), np.int8), np.ones((3, 2), np.float16))
    made = recipe(rows=3, columns=64, k_tile=64, format="i4-g32")
    assert packed(made, stored=stored, w=matrix) == packed(made, w=matrix)


@pytest.mark.parametrize("where", ["scales", "offsets"])
def test_stored_scales_that_are_not_finite_are_named(where: str) -> None:
    numbers = {name: np.ones((20, 2), np.float16) for name in ("scales", "offsets")}
    numbers[where][18, 1] = np.inf
    stored = Quantized(WeightFormat.of("i4-g32-zp"), np.ones((20, 64), np.int8), numbers["scales"], numbers["offsets"])
    made = recipe(rows=20, columns=64, k_tile=64, format="i4-g32-zp")
    with pytest.raises(CompileError, match=r'^weight "w" holds NaN or infinity$'):
        packed(made, stored=stored)


def f32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


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
    assert np.frombuffer(packed(made, 2, **arrays), np.float32).tolist() == [2.0, *[0.0] * 15]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["matrix", "rows", "vector"])
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
