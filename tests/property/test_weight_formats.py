"""Formats as texts, nibbles and 2:4 sparse rows, and stored blocks whose rows a checkpoint's recipe moves."""

from __future__ import annotations

from contextlib import suppress
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.formats import WeightFormat
from compiler.microscaling import MINIFLOATS, scale_codes, scale_values
from compiler.nibbles import (
    kept_columns,
    pack_elements,
    pack_i4,
    pack_sparse,
    unpack_elements,
    unpack_i4,
    unpack_sparse,
)
from compiler.quantization.rounding import quantize
from frontends.gguf.checkpoint import GgufCheckpoint
from frontends.gguf.header import read_header
from frontends.weights.integers import integer_format, integers_of
from frontends.weights.recipes import (
    Affine,
    Exponential,
    PairsToHalves,
    Recipe,
    Reshape,
    SameAs,
    Slice,
    SplitRows,
    Stack,
    Stored,
    Transpose,
)

SETTINGS = settings(deadline=None, derandomize=True, database=None)
ELEMENTS = ("f32", "f16", "bf16", "i8", "i4", "e2m1", "e4m3", "i2", "f64")


def exists(element: str, group: int, offsets: bool, sparse: bool) -> bool:
    """What the hardware has."""
    if element in ("f32", "f16", "bf16"):
        return (group, offsets, sparse) == (0, False, False)
    if element == "i8":
        return group in (0, 32, 64, 128) and not offsets
    if element in ("e2m1", "e4m3"):
        return (group, offsets, sparse) == (32, False, False)
    return element == "i4" and group in (32, 64, 128) and not (offsets and sparse)


@pytest.mark.parametrize("element", ELEMENTS)
def test_every_combination_is_a_format_or_refused(element: str) -> None:
    for group, offsets, sparse in product((0, 1, 16, 32, 64, 128, 256, -32), (False, True), (False, True)):
        text = f"{element}{f'-g{group}' if group else ''}{'-zp' * offsets}{'-s24' * sparse}"
        if exists(element, group, offsets, sparse):
            form = WeightFormat(element, group, offsets, sparse)
            assert str(form) == text and WeightFormat.of(text) == form
            continue
        with pytest.raises(ValueError):
            WeightFormat(element, group, offsets, sparse)
        with pytest.raises(ValueError):
            WeightFormat.of(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("i4", "int4 weights have groups of 32, 64, 128"),
        ("i4-zp", "int4 weights have groups of 32, 64, 128"),
        ("i8-g32-zp", "only int4 weights have offsets"),
        ("bf16-g32", "weights in bf16 have no groups, offsets or sparsity"),
        ("f32-s24", "weights in f32 have no groups, offsets or sparsity"),
        ("i4-g32-zp-s24", "a weight of 2:4 sparsity has no offsets: they would make its zeros something else"),
        ("e2m1", "weights in e2m1 have groups of 32"),
        ("e4m3-g64", "weights in e4m3 have groups of 32"),
        ("e2m1-g32-zp", "only int4 weights have offsets"),
        ("e4m3-g32-s24", "weights in e4m3 are not sparse"),
        ("i4-g48", 'there is no weight format "i4-g48"'),
        ("i4-s24-g32", 'there is no weight format "i4-s24-g32"'),
        ("i8 ", 'there is no weight format "i8 "'),
        ("", 'there is no weight format ""'),
    ],
)
def test_what_is_wrong_with_a_format(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        WeightFormat.of(text)
    assert str(caught.value) == message


@given(st.text(max_size=12))
def test_texts_are_formats_or_value_errors(text: str) -> None:
    with suppress(ValueError):
        assert str(WeightFormat.of(text)) == text


@SETTINGS
@given(st.sampled_from([2, 32, 64, 128]), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_nibbles(group: int, rows: int, groups: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-8, 8, (rows, group * groups)).astype(np.int8)
    stored = pack_i4(values, group)
    assert stored.shape == (rows, group * groups // 2)
    np.testing.assert_array_equal(unpack_i4(stored, group), values)
    for row, group_number, i in product(range(rows), range(groups), range(group // 2)):
        byte = int(stored[row, group_number * group // 2 + i])
        low, high = values[row, group_number * group + i], values[row, group_number * group + i + group // 2]
        assert byte == (int(low) + 8) | (int(high) + 8) << 4


@SETTINGS
@given(st.sampled_from([2, 32, 64]), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_codes_in_nibbles(group: int, rows: int, groups: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 16, (rows, group * groups)).astype(np.uint8)
    stored = pack_elements(codes, "e2m1", group)
    assert stored.shape == (rows, group * groups // 2)
    np.testing.assert_array_equal(unpack_elements(stored, "e2m1", group), codes)
    for row, group_number, i in product(range(rows), range(groups), range(group // 2)):
        first = group_number * group + i
        assert stored[row, group_number * group // 2 + i] == codes[row, first] | codes[row, first + group // 2] << 4


@pytest.mark.parametrize(("element", "count"), [("e2m1", 16), ("e4m3", 256)])
def test_every_number_of_a_minifloat_is_its_own_code(element: str, count: int) -> None:
    """Also where it is the largest of a block, whose scale is 1 then, and at the ends of what scales reach."""
    kind = MINIFLOATS[element]
    codes = np.array([code for code in range(count) if not np.isnan(kind.values[code])], np.uint8)
    np.testing.assert_array_equal(kind.codes_of(kind.values[codes]), codes)
    for exponent in (-127, -126, -20, 0, 40, 127 - kind.largest_exponent):
        largest = kind.values[kind.largest_code] * np.float32(2.0**exponent)
        values = np.resize(kind.values[codes] * np.float32(2.0**exponent), (len(codes), 32)).astype(np.float32)
        values[:, 0] = largest
        made = quantize(values, WeightFormat(element, 32), "w")
        assert (made.scales == exponent + 127).all()
        np.testing.assert_array_equal(made.values().view(np.uint32), values.view(np.uint32))


def test_scales_there_and_back() -> None:
    codes = np.arange(255, dtype=np.uint8)
    np.testing.assert_array_equal(scale_codes(scale_values(codes)), codes)


def sparse_rows(seed: int, rows: int, columns: int, bound: int) -> NDArray[np.int8]:
    """At most two of four columns are not zero; many fours have fewer."""
    random = np.random.default_rng(seed)
    values = random.integers(-bound, bound, (rows, columns // 4, 4)).astype(np.int8)
    order = random.permuted(np.tile(np.arange(4), (rows, columns // 4, 1)), axis=-1)
    values[order >= random.integers(0, 3, (rows, columns // 4, 1))] = 0
    return values.reshape(rows, columns)


@SETTINGS
@given(st.sampled_from(["i8", "i4"]), st.integers(1, 6), st.integers(1, 12), st.integers(0, 99))
def test_sparse_rows(element: str, rows: int, eights: int, seed: int) -> None:
    values = sparse_rows(seed, rows, 8 * eights, 128 if element == "i8" else 8)
    stored = pack_sparse(values, element)
    form = WeightFormat(element, 0 if element == "i8" else 32, sparse=True)
    assert stored.shape == (rows, form.row_bytes(8 * eights))
    kept, columns = unpack_sparse(stored, 8 * eights, element)
    np.testing.assert_array_equal(columns, kept_columns(values))
    assert (np.diff(columns, axis=1) > 0).all()
    whole = np.zeros_like(values)
    np.put_along_axis(whole, columns, kept, axis=1)
    np.testing.assert_array_equal(whole, values)


# Stored blocks

TYPES = {"Q8_0": "i8-g32", "Q4_0": "i4-g32", "Q4_1": "i4-g32-zp", "MXFP4": "e2m1-g32"}


def blocks(kind: str, shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """Random blocks [.., columns of 32] whose f16 numbers are finite."""
    size_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][1]
    data = np.random.default_rng(seed).integers(0, 256, (*shape, size_bytes), np.uint8)
    if kind == "MXFP4":
        data[..., 0] = np.minimum(data[..., 0], 250)  # beyond 2^125 ggml's numbers overflow
        return data.reshape(*shape[:-1], -1)
    for high in (1, 3) if kind == "Q4_1" else (1,):
        data[..., high][(data[..., high] & 0x7C) == 0x7C] ^= 0x40
    return data.reshape(*shape[:-1], -1)


def opened(folder: str, **tensors: tuple[NDArray[Any], str]) -> GgufCheckpoint:
    path = Path(folder) / "a.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return GgufCheckpoint(read_header(path))


def assert_same_values(recipe: Recipe, source: GgufCheckpoint, kind: str) -> None:
    """The integers stand for what the recipe loads, which the gguf package dequantised, bit by bit; it has no -0 in MXFP4."""
    assert str(integer_format(recipe, source)) == TYPES[kind]
    found = integers_of(recipe, source)
    assert found is not None and str(found.format) == TYPES[kind]
    expected = recipe.load().reshape(-1, recipe.shape[-1]) + np.float32(0)
    values = found.values() + np.float32(0)
    assert found.q.shape == values.shape == expected.shape
    np.testing.assert_array_equal(values.view(np.uint32), expected.view(np.uint32))


@settings(SETTINGS, max_examples=40)
@given(st.sampled_from(sorted(TYPES)), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 9))
def test_blocks_of_moved_rows(kind: str, heads: int, half: int, width: int, seed: int) -> None:
    """The recipes of rotary heads, fused projections, tied and reshaped matrices."""
    rows = heads * (2 * half + 1)
    with TemporaryDirectory() as folder:
        source = opened(folder, w=(blocks(kind, (rows, width), seed), kind), f=(np.ones((2, 32), np.float32), "F32"))
        stored = Stored(source, "w")
        split = SplitRows(stored, heads, half, half + 1)
        for recipe in (
            stored,
            SameAs("other", stored),
            PairsToHalves(stored, heads, 2 * half),
            split,
            SplitRows(stored, 1, 1, rows - 1),
            SplitRows(PairsToHalves(stored, heads, 2 * half), 1, 0, max(1, rows // 2)),
            Reshape(split, (heads, half + 1, 32 * width)),
            SameAs("other", Reshape(stored, (heads, rows // heads, 32 * width))),
        ):
            assert_same_values(recipe, source, kind)


@settings(SETTINGS, max_examples=20)
@given(st.sampled_from(sorted(TYPES)), st.integers(1, 4), st.integers(2, 6), st.integers(1, 2), st.integers(0, 9))
def test_blocks_of_experts(kind: str, experts: int, rows: int, width: int, seed: int) -> None:
    """One tensor holds all experts; one is taken, or half of the rows of one."""
    with TemporaryDirectory() as folder:
        source = opened(folder, w=(blocks(kind, (experts, rows, width), seed), kind))
        for index in range(experts):
            item = Slice(Stored(source, "w"), index)
            assert_same_values(item, source, kind)
            assert_same_values(SplitRows(item, 1, rows // 2, rows - rows // 2), source, kind)
            assert_same_values(Reshape(item, (rows, 32 * width)), source, kind)


def test_recipes_whose_integers_mean_nothing() -> None:
    """Sums of numbers, columns that move, rows that are cut, several tensors, other types."""
    with TemporaryDirectory() as folder:
        source = opened(
            folder, w=(blocks("Q8_0", (4, 2), 1), "Q8_0"), f=(np.ones((4, 64), np.float32), "F32"),
            k=(blocks("Q4_K", (4, 8), 1)[:, :288], "Q4_K"), v=(blocks("Q8_0", (2,), 1), "Q8_0"),
        )  # fmt: skip
        stored = Stored(source, "w")
        for recipe in (
            Transpose(stored), Affine(stored, 1.0, 1.0), Exponential(stored), Stack((stored, stored)),
            Reshape(stored, (8, 32)), Reshape(stored, (2, 128)), Stored(source, "f"), Stored(source, "k"),
            Stored(source, "v"), Reshape(Stored(source, "v"), (1, 64)),
        ):  # fmt: skip
            assert integer_format(recipe, source) is None
            assert integers_of(recipe, source) is None
