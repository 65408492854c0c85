"""How weights lie in DRAM. A recipe says how; it is carried out when the file is written.

rows     the tensor row-major in `format` (embedding tables)
vector   w + f32(offset)
transposed  the matrix in f32, column after column
matrix   numbers of the rows, then the rows in blocks of 16, sparse ones row after row in k-tiles of `k_tile` columns
         (compiler/emit/weight_layout.py).
The members of a group of experts lie one after the other, each in whole granules: at equal distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compiler.blocks import NIBBLE_GROUP, block_packed, block_rows
from compiler.dialects.slm import stored_name
from compiler.emit.recipes import Recipe
from compiler.emit.symmetric_blocks import is_symmetric, row_scales, symmetric_blocks
from compiler.errors import CompileError
from compiler.formats import Quantized, to_float32
from compiler.nibbles import pack_elements, pack_sparse
from compiler.program import Rows, WeightStore
from compiler.quantization.rounding import quantize
from isa.spec import BLOCK_ROWS

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
    """The bytes of a weight, some rows at a time and expert by expert, each part as what makes it; parts can be made side by side.

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
    if recipe.kind == "matrix":
        bias = None if recipe.bias is None else bias_of(weights, stored_name(recipe.bias, layer, expert))
        yield from Matrix.of(recipe, weights, name).parts(bias)
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


@dataclass(frozen=True)
class Matrix:
    """A matrix that is to be packed: its values, or what is stored in the recipe's format and taken as it is.

    rounded: sparse rows by the first one, which are wanted several times.
    """

    recipe: Recipe
    name: str
    stored: Quantized | None
    values: Rows | None
    rounded: dict[int, Quantized] = field(default_factory=dict[int, Quantized])

    @staticmethod
    def of(recipe: Recipe, weights: WeightStore, name: str) -> Matrix:
        if recipe.format.is_quantized and weights.integer_format(name) == recipe.format:
            return Matrix(recipe, name, weights.quantized(name), None)
        return Matrix(recipe, name, None, weights.rows_of(name))

    def parts(self, bias: NDArray[np.float32] | None) -> Iterator[Part]:
        """In the order of compiler/emit/weight_layout.py."""
        form, columns = self.recipe.format, self.recipe.columns
        if form.per_row:
            yield self.row_scales
        if bias is not None:
            yield partial(row_array, bias, self.recipe)
        if form.sparse and form.group:
            yield from (partial(self.group_numbers, part) for part in self.panels())
        k_tile = self.recipe.k_tile if form.sparse else columns
        for first in range(0, columns, k_tile):
            yield from (partial(self.rows, part, slice(first, first + k_tile)) for part in self.panels())

    def panels(self) -> Iterator[slice]:
        """Whole blocks of rows, as many as are packed at once."""
        most = max(ELEMENTS_AT_ONCE // self.recipe.columns // BLOCK_ROWS, 1) * BLOCK_ROWS
        return (slice(first, min(first + most, self.recipe.rows)) for first in range(0, self.recipe.rows, most))

    def quantized(self, part: slice) -> Quantized:
        """Some rows, stored or rounded now."""
        if self.stored is not None:
            offsets = None if self.stored.offsets is None else self.stored.offsets[part]
            rows = replace(self.stored, q=self.stored.q[part], scales=self.stored.scales[part], offsets=offsets)
            if not rows.is_finite():
                raise not_finite(self.name)
            return rows
        form, known = self.recipe.format, self.rounded.get(part.start)
        rows = known if known is not None else quantize(self.finite_rows(part), form, self.name)
        if form.sparse:
            self.rounded[part.start] = rows
        return rows

    def finite_rows(self, part: slice) -> NDArray[np.float32]:
        assert self.values is not None
        return np.ascontiguousarray(finite(to_float32(self.values(part)), self.name))

    def numbers(self, part: slice) -> NDArray[np.float32] | NDArray[np.uint16]:
        """Some rows in f32, or the bits of bf16."""
        assert self.values is not None
        rows = self.values(part)
        return to_float32(rows) if rows.dtype == np.float16 else rows

    def row_scales(self) -> list[Bytes]:
        """Of all rows. Rounding finds them once more, but nothing needs to wait for it."""
        if self.stored is not None:
            return row_array(self.stored.scales, self.recipe)
        panels = (row_scales(self.recipe, self.numbers(part), self.name) for part in self.panels())
        return row_array(np.concatenate(list(panels)), self.recipe)

    def group_numbers(self, part: slice) -> list[Bytes]:
        """Of the groups of some rows, block by block."""
        return [np.concatenate(numbers_of_blocks(self.quantized(part)), axis=1).reshape(-1)]

    def rows(self, part: slice, columns: slice) -> list[Bytes]:
        """Some rows; those in blocks with the numbers of their groups."""
        form = self.recipe.format
        if not form.is_quantized:
            rows = self.finite_rows(part)
            return [block_rows(as_bytes(rows, form.element).view(STORED[form.element]).reshape(rows.shape))]
        if self.stored is None and is_symmetric(self.recipe):
            packed = symmetric_blocks(self.recipe, self.numbers(part), self.name)
            if packed is None:
                raise not_finite(self.name)
            return [packed]
        rows = self.quantized(part)
        if form.sparse:
            return [pack_sparse(np.ascontiguousarray(rows.q[:, columns]).view(np.int8), form.element).reshape(-1)]
        packed = block_packed(pack_elements(rows.q, form.element, NIBBLE_GROUP))
        if not form.group:
            return [packed]
        blocks = packed.reshape(-(-len(rows.q) // BLOCK_ROWS), -1)
        return [np.concatenate([*numbers_of_blocks(rows), blocks], axis=1).reshape(-1)]


def numbers_of_blocks(rows: Quantized) -> list[Bytes]:
    """Scales and offsets of groups, [blocks, bytes] each."""
    numbers = [rows.scales] if rows.offsets is None else [rows.scales, rows.offsets]
    return [block_rows(values).reshape(-(-len(values) // BLOCK_ROWS), -1) for values in numbers]


def row_array(values: NDArray[np.generic], recipe: Recipe) -> list[Bytes]:
    """A number for each row, with room for all rows of the last block."""
    result = np.zeros(recipe.layout.row_array_bytes, np.uint8)
    stored = np.ascontiguousarray(values.astype(np.float32)).view(np.uint8)
    result[: len(stored)] = stored
    return [result]
