"""Blocks of symmetric integers, made in few passes over the stored numbers (compiler/quantization/rounding_loops.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.blocks import NIBBLE_GROUP, QUAD_BYTES, block_rows
from compiler.emit.recipes import Recipe
from compiler.formats import LARGEST, WeightFormat
from compiler.quantization.rounding import largest_of_groups, loops, shift_of, symmetric_scales
from isa.spec import BLOCK_ROWS

Bytes = NDArray[np.uint8]


def is_symmetric(recipe: Recipe) -> bool:
    """Whether symmetric_blocks makes the blocks: bytes or nibbles without offsets, in whole words."""
    form = recipe.format
    is_plain = form.element in LARGEST and not form.offsets and not form.sparse
    return is_plain and recipe.columns % word_elements(form) == 0


def word_elements(form: WeightFormat) -> int:
    """Elements of a column of a block."""
    return NIBBLE_GROUP if form.element == "i4" else QUAD_BYTES


def row_scales(recipe: Recipe, matrix: NDArray[Any], name: str) -> NDArray[Any]:
    """The scales of rows in a format that has one for each, [N]; of numbers that are not finite any. matrix: as for symmetric_blocks."""
    largest = largest_of_groups(_bits_of(matrix).reshape(len(matrix), 1, -1))
    return symmetric_scales(largest, recipe.format, name)[:, 0]


def symmetric_blocks(recipe: Recipe, matrix: NDArray[Any], name: str) -> Bytes | None:
    """Blocks of 16 rows, a last one may have fewer, with the scales of their groups. matrix: f32 or the bits of bf16 (uint16) [N, K].

    None if the matrix holds NaN or infinity. Raises CompileError, naming it, for numbers too large for f16 scales.
    """
    form, layout = recipe.format, recipe.layout
    bits = _bits_of(matrix).reshape(len(matrix), -1, form.group or recipe.columns)
    largest = largest_of_groups(bits)
    if not np.isfinite(largest).all():
        return None
    scales = symmetric_scales(largest, form, name)
    out = np.zeros((-(-len(bits) // BLOCK_ROWS), layout.block_bytes), np.uint8)
    if form.group:
        out[:, : layout.block_numbers_bytes] = block_rows(scales).reshape(len(out), -1)
    rows = out[:, layout.block_numbers_bytes :].view(np.uint32)
    loops().pack_rows(bits, shift_of(bits), scales.astype(np.float32), LARGEST[form.element], rows)
    return out.reshape(-1)


def _bits_of(matrix: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(matrix).view(np.uint16 if matrix.dtype == np.uint16 else np.uint32)
