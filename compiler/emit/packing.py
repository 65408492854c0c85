"""How weights lie in DRAM. A recipe says how; it is carried out when the file is written.

rows     the tensor row-major in `format` (embedding tables)
vector   w + f32(offset)
transposed  the matrix in f32, column after column
strips   for each strip of `strip_rows` output rows: a header (compiler/emit/strip_layout.py), then its rows cut into k-tiles of
         `k_tile` columns, each k-tile contiguous: blocks of 16 rows, sparse ones row after row.
The members of a group of experts lie one after the other, each in whole granules: at equal distances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from compiler.blocks import NIBBLE_GROUP, block_packed, block_rows
from compiler.dialects.slm import stored_name
from compiler.emit.recipes import Recipe
from compiler.errors import CompileError
from compiler.formats import Elements, Quantized
from compiler.nibbles import pack_elements, pack_sparse
from compiler.program import WeightStore
from compiler.quantization.rounding import quantize

Bytes = NDArray[np.uint8]
STORED = {"f32": np.uint32, "f16": np.uint16, "bf16": np.uint16}
ROWS_AT_ONCE = 4096


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


def pack(recipe: Recipe, weights: WeightStore, layer: int) -> Iterator[Bytes]:
    """The bytes of a weight, strip by strip and expert by expert. Raises CompileError for a weight that is not finite."""
    if not recipe.experts:
        yield from pack_member(recipe, weights, layer, None)
    for expert in range(recipe.experts):
        yield from pack_member(recipe, weights, layer, expert)
        if recipe.stride_bytes > recipe.member_bytes:
            yield np.zeros(recipe.stride_bytes - recipe.member_bytes, np.uint8)


def pack_member(recipe: Recipe, weights: WeightStore, layer: int, expert: int | None) -> Iterator[Bytes]:
    """The bytes of one tensor."""
    name = stored_name(recipe.key, layer, expert)
    if recipe.kind == "strips":
        bias = None if recipe.bias is None else bias_of(weights, stored_name(recipe.bias, layer, expert))
        yield from strips(recipe, weights, bias, name)
        return
    tensor = weights.load(name)
    if recipe.kind == "vector":
        yield as_bytes((finite(tensor.reshape(-1), name) + np.float32(recipe.offset)).astype(np.float32), "f32")
    elif recipe.kind == "transposed":
        yield as_bytes(finite(tensor.reshape(recipe.rows, recipe.columns), name).T, "f32")
    else:
        matrix = tensor.reshape(recipe.rows, recipe.columns)
        for first in range(0, recipe.rows, ROWS_AT_ONCE):
            yield as_bytes(finite(matrix[first : first + ROWS_AT_ONCE], name), recipe.format.element)


def bias_of(weights: WeightStore, name: str) -> NDArray[np.float32]:
    return finite(weights.load(name).reshape(-1), name)


def finite(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise not_finite(name)
    return values


def not_finite(name: str) -> CompileError:
    return CompileError(f'weight "{name}" holds NaN or infinity')


def strips(recipe: Recipe, weights: WeightStore, bias: NDArray[np.float32] | None, name: str) -> Iterator[Bytes]:
    """Header and k-tiles of each strip; a matrix that is stored in the recipe's format is taken as it is."""
    is_stored = recipe.format.is_quantized and weights.integer_format(name) == recipe.format
    stored = weights.quantized(name) if is_stored else None
    matrix = None if stored is not None else weights.load(name).reshape(recipe.rows, recipe.columns)
    for first in range(0, recipe.rows, recipe.strip_rows):
        part = slice(first, first + recipe.strip_rows)
        part_bias = None if bias is None else bias[part]
        if matrix is None or recipe.format.is_quantized:
            quantized = quantized_rows(stored, matrix, part, recipe, name)
            yield from integer_strip(recipe, quantized, part_bias)
        else:
            yield from float_strip(recipe, np.ascontiguousarray(finite(matrix[part], name)), part_bias)


def quantized_rows(
    stored: Quantized | None, matrix: NDArray[np.float32] | None, part: slice, recipe: Recipe, name: str
) -> Quantized:
    """Some rows of a matrix, stored or rounded now."""
    if stored is not None:
        offsets = None if stored.offsets is None else stored.offsets[part]
        rows = replace(stored, q=stored.q[part], scales=stored.scales[part], offsets=offsets)
        if not rows.is_finite():
            raise not_finite(name)
        return rows
    assert matrix is not None
    return quantize(np.ascontiguousarray(finite(matrix[part], name)), recipe.format, name)


def float_strip(recipe: Recipe, rows: NDArray[np.float32], bias: NDArray[np.float32] | None) -> Iterator[Bytes]:
    yield from header(recipe, bias, None)
    stored = as_bytes(rows, recipe.format.element).view(STORED[recipe.format.element]).reshape(rows.shape)
    for column in range(0, recipe.columns, recipe.k_tile):
        yield block_rows(stored[:, column : column + recipe.k_tile])


def integer_strip(recipe: Recipe, rows: Quantized, bias: NDArray[np.float32] | None) -> Iterator[Bytes]:
    yield from header(recipe, bias, rows)
    for column in range(0, recipe.columns, recipe.k_tile):
        yield packed_rows(np.ascontiguousarray(rows.q[:, column : column + recipe.k_tile]), recipe)


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
