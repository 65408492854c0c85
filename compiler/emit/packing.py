"""How weights lie in DRAM. A recipe says how; it is carried out when the file is written.

rows     the tensor row-major in `format` (embedding tables)
vector   w + f32(offset)
transposed  the matrix in f32, column after column
strips   for each strip of `strip_rows` output rows: a header (compiler/emit/strip_layout.py), then its rows cut into k-tiles of
         `k_tile` columns, each k-tile contiguous: blocks of 16 rows, sparse ones row after row.
The members of a group of experts lie one after the other, each in whole granules: at equal distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compiler.blocks import NIBBLE_GROUP, block_packed, block_rows
from compiler.dialects.slm import stored_name
from compiler.emit.recipes import Recipe
from compiler.emit.symmetric_strips import is_symmetric, symmetric_strips
from compiler.errors import CompileError
from compiler.formats import Elements, Quantized, to_float32
from compiler.nibbles import pack_elements, pack_sparse
from compiler.program import Rows, WeightStore
from compiler.quantization.rounding import quantize

Bytes = NDArray[np.uint8]
Part = Callable[[], list[Bytes]]
STORED = {"f32": np.uint32, "f16": np.uint16, "bf16": np.uint16}
ELEMENTS_AT_ONCE = 1 << 20


def to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """RNE; NaN becomes the canonical 7FC0."""
    bits = values.view(np.uint32)
    rounded = ((bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)).astype(
        np.uint16
    )
    nan = np.isnan(values)
    if nan.any():
        rounded[nan] = 0x7FC0
    return rounded


def as_bytes(values: NDArray[np.float32], element: str) -> Bytes:
    """f32, f16 or bf16 values as raw bytes of the same rows."""
    if element == "f16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).reshape(-1).view(np.uint8)
    stored = to_bf16(values) if element == "bf16" else np.ascontiguousarray(values)
    return stored.reshape(-1).view(np.uint8)


def pack(recipe: Recipe, weights: WeightStore, layer: int) -> Iterator[Part]:
    """The bytes of a weight, strip by strip and expert by expert, each part as what makes it; parts can be made side by side.

    Making one raises CompileError for a weight that is not finite.
    """
    if not recipe.experts:
        yield from pack_member(recipe, weights, layer, None)
    for expert in range(recipe.experts):
        yield from pack_member(recipe, weights, layer, expert)
        if recipe.stride_bytes > recipe.member_bytes:
            yield partial(filling, recipe.stride_bytes - recipe.member_bytes)


def filling(size_bytes: int) -> list[Bytes]:
    """Zeros."""
    return [np.zeros(size_bytes, np.uint8)]


def pack_member(recipe: Recipe, weights: WeightStore, layer: int, expert: int | None) -> Iterator[Part]:
    """The parts of one tensor. A matrix is read part by part where its store can do that, else now."""
    name = stored_name(recipe.key, layer, expert)
    if recipe.kind == "strips":
        bias = None if recipe.bias is None else bias_of(weights, stored_name(recipe.bias, layer, expert))
        yield from strips(recipe, weights, bias, name)
        return
    if recipe.kind == "vector":
        yield partial(vector, weights.load(name).reshape(-1), recipe, name)
    elif recipe.kind == "transposed":
        matrix = weights.load(name).reshape(recipe.rows, recipe.columns)
        yield partial(float_rows, matrix.T.__getitem__, slice(None), "f32", name)
    else:
        rows, rows_at_once = weights.rows_of(name), max(1, ELEMENTS_AT_ONCE // recipe.columns)
        for first in range(0, recipe.rows, rows_at_once):
            part = slice(first, first + rows_at_once)
            yield partial(float_rows, rows, part, recipe.format.element, name)


def vector(values: NDArray[np.float32], recipe: Recipe, name: str) -> list[Bytes]:
    return [as_bytes((finite(values, name) + np.float32(recipe.offset)).astype(np.float32), "f32")]


def float_rows(rows: Rows, part: slice, element: str, name: str) -> list[Bytes]:
    return [as_bytes(finite(to_float32(rows(part)), name), element)]


def bias_of(weights: WeightStore, name: str) -> NDArray[np.float32]:
    return finite(weights.load(name).reshape(-1), name)


def finite(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise not_finite(name)
    return values


def not_finite(name: str) -> CompileError:
    return CompileError(f'weight "{name}" holds NaN or infinity')


def strips(recipe: Recipe, weights: WeightStore, bias: NDArray[np.float32] | None, name: str) -> Iterator[Part]:
    """Header and k-tiles of each strip; a matrix that is stored in the recipe's format is taken as it is."""
    is_stored = recipe.format.is_quantized and weights.integer_format(name) == recipe.format
    stored = weights.quantized(name) if is_stored else None
    matrix = None if stored is not None else weights.rows_of(name)
    for part in strip_parts(recipe, several=matrix is not None and is_symmetric(recipe)):
        part_bias = None if bias is None else bias[part]
        if matrix is None:
            yield partial(integer_strip, recipe, stored, matrix, part, part_bias, name)
        elif is_symmetric(recipe):
            yield partial(several_strips, recipe, matrix, part, part_bias, name)
        elif recipe.format.is_quantized:
            yield partial(integer_strip, recipe, stored, matrix, part, part_bias, name)
        else:
            yield partial(float_strip, recipe, matrix, part, part_bias, name)


def strip_parts(recipe: Recipe, several: bool) -> Iterator[slice]:
    """The rows that are packed at a time: those of a strip, or of several whole ones; a last strip with fewer rows is alone."""
    strips_at_once = max(1, ELEMENTS_AT_ONCE // (recipe.strip_rows * recipe.columns)) if several else 1
    whole = recipe.rows - recipe.rows % recipe.strip_rows
    for first in range(0, whole, strips_at_once * recipe.strip_rows):
        yield slice(first, min(first + strips_at_once * recipe.strip_rows, whole))
    if whole < recipe.rows:
        yield slice(whole, recipe.rows)


def several_strips(
    recipe: Recipe, matrix: Rows, part: slice, bias: NDArray[np.float32] | None, name: str
) -> list[Bytes]:
    rows = matrix(part)
    packed = symmetric_strips(recipe, to_float32(rows) if rows.dtype == np.float16 else rows, bias, name)
    if packed is None:
        raise not_finite(name)
    return [packed]


def quantized_rows(stored: Quantized | None, matrix: Rows | None, part: slice, recipe: Recipe, name: str) -> Quantized:
    """Some rows of a matrix, stored or rounded now."""
    if stored is not None:
        offsets = None if stored.offsets is None else stored.offsets[part]
        rows = replace(stored, q=stored.q[part], scales=stored.scales[part], offsets=offsets)
        if not rows.is_finite():
            raise not_finite(name)
        return rows
    assert matrix is not None
    return quantize(np.ascontiguousarray(finite(to_float32(matrix(part)), name)), recipe.format, name)


def float_strip(recipe: Recipe, matrix: Rows, part: slice, bias: NDArray[np.float32] | None, name: str) -> list[Bytes]:
    rows = np.ascontiguousarray(finite(to_float32(matrix(part)), name))
    stored = as_bytes(rows, recipe.format.element).view(STORED[recipe.format.element]).reshape(rows.shape)
    tiles = [
        block_rows(stored[:, column : column + recipe.k_tile]) for column in range(0, recipe.columns, recipe.k_tile)
    ]
    return [*header(recipe, bias, None), *tiles]


def integer_strip(
    recipe: Recipe,
    stored: Quantized | None,
    matrix: Rows | None,
    part: slice,
    bias: NDArray[np.float32] | None,
    name: str,
) -> list[Bytes]:
    rows = quantized_rows(stored, matrix, part, recipe, name)
    starts = range(0, recipe.columns, recipe.k_tile)
    tiles = [packed_rows(np.ascontiguousarray(rows.q[:, start : start + recipe.k_tile]), recipe) for start in starts]
    return [*header(recipe, bias, rows), *tiles]


def packed_rows(q: Elements, recipe: Recipe) -> Bytes:
    """The rows of a k-tile."""
    form = recipe.format
    if form.sparse:
        return pack_sparse(q.view(np.int8), form.element).reshape(-1)
    return block_packed(pack_elements(q, form.element, NIBBLE_GROUP))


def header(recipe: Recipe, bias: NDArray[np.float32] | None, rows: Quantized | None) -> Iterator[Bytes]:
    """The header of a strip, if there is one."""
    layout = recipe.layout
    if not layout.header_bytes:
        return
    result = np.zeros(layout.header_bytes, np.uint8)

    def put(offset: int, values: NDArray[np.generic]) -> None:
        stored = block_rows(values) if values.ndim > 1 else np.ascontiguousarray(values).view(np.uint8)
        result[offset : offset + len(stored)] = stored

    if bias is not None:
        put(layout.bias_offset, bias)
    if rows is not None:
        put(layout.group_scales_offset if layout.groups else 0, rows.scales)
        if rows.offsets is not None:
            put(layout.group_offsets_offset, rows.offsets)
    yield result
