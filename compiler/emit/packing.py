"""How weights lie in DRAM. A recipe (the `what` of tile.weight) says how; it is carried out when the file is written.

rows     the tensor row-major in `format` (embedding tables)
vector   w + f32(offset)
transposed  the matrix in f32, column after column
strips   for each strip of `strip_rows` output rows: f32 scales (int8), f32 biases, then its rows cut into k-tiles of `k_tile`
         columns, each k-tile row-major and contiguous. The header always has room for strip_rows entries.
The members of a group of experts lie one after the other, each in whole granules: at equal distances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DictionaryAttr, FloatAttr, IntegerAttr, StringAttr

from compiler.dialects.slm import stored_name
from compiler.errors import CompileError
from compiler.lowering.builder import element_bytes
from compiler.program import WeightStore
from compiler.sizes import to_granules

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Recipe:
    """A recipe, read from its attribute. `rows` and `columns` are 0 where the weight's own shape decides; `experts` is 0 for a
    weight that is not one of several experts."""

    kind: str
    key: str
    format: str
    rows: int
    columns: int
    strip_rows: int
    k_tile: int
    bias: str | None
    scaled: bool
    offset: float
    experts: int = 0

    @staticmethod
    def of(what: DictionaryAttr) -> Recipe:
        def text(name: str) -> str | None:
            value = what.data.get(name)
            return value.data if isinstance(value, StringAttr) else None

        def number(name: str) -> int:
            value = what.data.get(name)
            return value.value.data if isinstance(value, IntegerAttr) else 0

        offset = what.data.get("offset")
        return Recipe(
            kind=text("kind") or "",
            key=text("key") or "",
            format=text("format") or "f32",
            rows=number("rows"),
            columns=number("columns"),
            strip_rows=number("strip_rows"),
            k_tile=number("k_tile"),
            bias=text("bias"),
            scaled="scaled" in what.data,
            offset=float(offset.value.data) if isinstance(offset, FloatAttr) else 0.0,
            experts=number("experts"),
        )

    @property
    def header_bytes(self) -> int:
        return (self.scaled + (self.bias is not None)) * self.strip_rows * 4

    @property
    def size_bytes(self) -> int:
        """Bytes in DRAM."""
        return self.experts * self.stride_bytes if self.experts else self.member_bytes

    @property
    def stride_bytes(self) -> int:
        """Bytes from one expert to the next."""
        return to_granules(self.member_bytes)

    @property
    def member_bytes(self) -> int:
        """Bytes of one expert, or of the only tensor."""
        if self.kind == "strips":
            strips = -(-self.rows // self.strip_rows)
            return strips * self.header_bytes + self.rows * self.columns * element_bytes(self.format)
        return self.rows * self.columns * element_bytes(self.format)


def packed_bytes(what: DictionaryAttr) -> int:
    """Bytes that a weight takes in DRAM."""
    return Recipe.of(what).size_bytes


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


def quantize_rows(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """int8 rows and their f32 scales: s = amax * f32(1/127), 1 if that is 0; q = RNE(w / s)."""
    scales = np.abs(values).max(axis=1) * np.float32(1 / 127)
    scales = np.where(scales == 0, np.float32(1), scales).astype(np.float32)
    quotients = np.rint(values / scales[:, None])
    return np.clip(quotients, -127, 127).astype(np.int8), scales


def as_bytes(values: NDArray[np.float32], number_format: str) -> Bytes:
    """f32 or bf16 values as raw bytes of the same rows."""
    stored = to_bf16(values) if number_format == "bf16" else np.ascontiguousarray(values)
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
    tensor = weights.load(name)
    if recipe.kind == "vector":
        yield as_bytes((finite(tensor.reshape(-1), name) + np.float32(recipe.offset)).astype(np.float32), "f32")
    elif recipe.kind == "transposed":
        yield as_bytes(finite(tensor.reshape(recipe.rows, recipe.columns), name).T, "f32")
    elif recipe.kind == "rows":
        matrix = tensor.reshape(recipe.rows, recipe.columns)
        for first in range(0, recipe.rows, 4096):
            yield as_bytes(finite(matrix[first : first + 4096], name), recipe.format)
    else:
        bias = None if recipe.bias is None else bias_of(weights, stored_name(recipe.bias, layer, expert))
        yield from strips(recipe, tensor.reshape(recipe.rows, recipe.columns), bias, name)


def bias_of(weights: WeightStore, name: str) -> NDArray[np.float32]:
    return finite(weights.load(name).reshape(-1), name)


def finite(values: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise CompileError(f'weight "{name}" holds NaN or infinity')
    return values


def strips(recipe: Recipe, matrix: NDArray[np.float32], bias: NDArray[np.float32] | None, name: str) -> Iterator[Bytes]:
    """Header and k-tiles of each strip."""
    size = element_bytes(recipe.format)
    for first in range(0, recipe.rows, recipe.strip_rows):
        rows = np.ascontiguousarray(finite(matrix[first : first + recipe.strip_rows], name))
        count = len(rows)
        header = np.zeros(recipe.header_bytes // 4, np.float32)
        if recipe.scaled:
            quantized, header[:count] = quantize_rows(rows)
            stored = quantized.view(np.uint8)
        else:
            stored = as_bytes(rows, recipe.format).reshape(count, -1)
        if bias is not None:
            start = recipe.strip_rows if recipe.scaled else 0
            header[start : start + count] = bias[first : first + count]
        if recipe.header_bytes:
            yield header.view(np.uint8)
        if recipe.k_tile == recipe.columns:
            yield stored.reshape(-1)
            continue
        for column in range(0, recipe.columns, recipe.k_tile):
            yield np.ascontiguousarray(stored[:, column * size : (column + recipe.k_tile) * size]).reshape(-1)
