"""Strips of symmetric integers, made in few passes over the stored numbers (compiler/quantization/rounding_loops.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.blocks import NIBBLE_GROUP, QUAD_BYTES, block_rows
from compiler.emit.recipes import Recipe
from compiler.emit.strip_layout import stored_row_bytes, stored_rows
from compiler.formats import LARGEST, WeightFormat
from compiler.quantization.rounding import BF16_SHIFT, largest_of_groups, symmetric_scales
from compiler.quantization.rounding_loops import pack_rows

Bytes = NDArray[np.uint8]


def is_symmetric(recipe: Recipe) -> bool:
    """Whether symmetric_strips makes the strips: bytes or nibbles without offsets, and k-tiles of whole words."""
    form = recipe.format
    is_plain = form.element in LARGEST and not form.offsets and not form.sparse
    return is_plain and all(columns % word_elements(form) == 0 for columns in (recipe.columns, recipe.k_tile))


def word_elements(form: WeightFormat) -> int:
    """Elements of a column of a block."""
    return NIBBLE_GROUP if form.element == "i4" else QUAD_BYTES


def symmetric_strips(recipe: Recipe, matrix: NDArray[Any], bias: NDArray[np.float32] | None, name: str) -> Bytes | None:
    """Whole strips, or one that has fewer rows, with their headers. matrix: f32 or the bits of bf16 (uint16) [N, K].

    None if the matrix holds NaN or infinity. Raises CompileError, naming it, for numbers too large for f16 scales.
    """
    form, layout = recipe.format, recipe.layout
    bits = np.ascontiguousarray(matrix).view(np.uint16 if matrix.dtype == np.uint16 else np.uint32)
    bits = bits.reshape(len(bits), -1, form.group or recipe.columns)
    largest = largest_of_groups(bits)
    if not np.isfinite(largest).all():
        return None
    scales = symmetric_scales(largest, form, name)
    rows = min(len(bits), recipe.strip_rows)
    size = layout.header_bytes + stored_rows(form, rows) * stored_row_bytes(form, recipe.columns)
    out = np.zeros((-(-len(bits) // rows), size), np.uint8)
    _put(out, layout.group_scales_offset if layout.groups else 0, _stored_scales(scales, form))
    if bias is not None:
        _put(out, layout.bias_offset, bias.view(np.uint8))
    words, shift = out[:, layout.header_bytes :].view(np.uint32), BF16_SHIFT if bits.dtype == np.uint16 else 0
    for strip, first in enumerate(range(0, len(bits), rows)):
        part = slice(first, first + rows)
        of_rows = scales[part].astype(np.float32)
        pack_rows(bits[part], shift, of_rows, LARGEST[form.element], words[strip], recipe.k_tile)
    return out.reshape(-1)


def _stored_scales(scales: NDArray[Any], form: WeightFormat) -> Bytes:
    return scales.reshape(-1).view(np.uint8) if form.per_row else block_rows(scales)


def _put(out: Bytes, offset: int, stored: Bytes) -> None:
    """The same bytes of each strip's header, one strip after the other."""
    width = len(stored) // len(out)
    out[:, offset : offset + width] = stored.reshape(len(out), width)
