"""Round to nearest: the quantised form of a matrix, from its values alone. docs/numerics.md section 8 has the formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.formats import LARGEST, OFFSET_LEVELS, Bits, Quantized, WeightFormat
from compiler.microscaling import MINIFLOATS, scale_values, shared_scales

F32 = NDArray[np.float32]
F16 = NDArray[np.float16]
KEPT, SPARSE_GROUP = 2, 4
BF16_SHIFT = 16


def loops():
    """The module rounding_loops, imported when it is needed first: numba takes a moment, and programs without values do without."""
    from compiler.quantization import rounding_loops

    return rounding_loops


def quantize(matrix: F32, form: WeightFormat, name: str) -> Quantized:
    """The matrix [N, K] in a quantised format. Raises CompileError, naming it, for a shape or a size the format does not take."""
    problem = form.problem(matrix.shape[1])
    if problem is not None:
        raise CompileError(f'weight "{name}": {problem}')
    if form.sparse:
        matrix = pruned(matrix, np.abs(matrix))
    if not form.is_microscaled and not form.offsets:
        return _symmetric(matrix, form, name)
    grouped = matrix.reshape(len(matrix), -1, form.group)
    return _microscaled(grouped, form) if form.is_microscaled else _with_offsets(grouped, form, name)


def pruned(matrix: F32, importance: F32) -> F32:
    """The matrix with the two least important of each four columns set to 0; of equal ones the later go."""
    return np.where(kept_mask(importance), matrix, np.float32(0))


def kept_mask(importance: F32) -> NDArray[np.bool_]:
    """[N, K]: whether a weight is among the two most important of its four."""
    groups = importance.reshape(len(importance), -1, SPARSE_GROUP)
    order = np.argsort(-groups, axis=-1, kind="stable")
    kept = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(kept, order[..., :KEPT], True, axis=-1)
    return kept.reshape(importance.shape)


def _symmetric(matrix: F32, form: WeightFormat, name: str) -> Quantized:
    grouped = np.ascontiguousarray(matrix).reshape(len(matrix), -1, form.group or matrix.shape[1])
    scales = symmetric_scales(largest_of_groups(grouped.view(np.uint32)), form, name)
    q = np.empty(grouped.shape, np.int8)
    loops().round_rows(grouped, scales.astype(np.float32), LARGEST[form.element], q)
    return Quantized(form, q.reshape(matrix.shape), scales[:, 0] if form.per_row else scales)


def largest_of_groups(bits: Bits) -> F32:
    """The largest magnitudes [N, groups] of groups [N, groups, columns]; bits of f32, or of bf16 as uint16. NaN counts as the largest."""
    found = np.empty(bits.shape[:2], np.uint32)
    loops().find_largest(bits, shift_of(bits), found)
    return found.view(np.float32)


def shift_of(bits: Bits) -> int:
    """By how many bits those of f32, or of bf16 as uint16, are shifted to be those of f32."""
    return BF16_SHIFT if bits.dtype == np.uint16 else 0


def symmetric_scales(largest: F32, form: WeightFormat, name: str) -> F32 | F16:
    """The scales, as they are stored, of groups with these largest magnitudes, [N, groups] (of a row: one). Raises CompileError."""
    scales = largest * np.float32(1 / LARGEST[form.element])
    return np.where(scales == 0, np.float32(1), scales) if form.per_row else to_f16(scales, name)


def _microscaled(grouped: F32, form: WeightFormat) -> Quantized:
    scales = shared_scales(grouped, form.element)
    codes = MINIFLOATS[form.element].codes_of(grouped / scale_values(scales)[..., None])
    return Quantized(form, codes.reshape(len(codes), -1), scales)


def _with_offsets(grouped: F32, form: WeightFormat, name: str) -> Quantized:
    lowest, highest = grouped.min(axis=2), grouped.max(axis=2)
    with np.errstate(over="ignore"):
        offsets = lowest.astype(np.float16)
    if np.isinf(offsets).any():
        raise too_large(name)
    m = offsets.astype(np.float32)
    scales = to_f16(np.maximum(highest - m, np.float32(0)) * np.float32(1 / OFFSET_LEVELS), name)
    levels = _rounded((grouped - m[..., None]) / scales.astype(np.float32)[..., None], 0, OFFSET_LEVELS)
    q = (levels - np.int8((OFFSET_LEVELS + 1) // 2)).astype(np.int8)
    return Quantized(form, q.reshape(len(q), -1), scales, offsets)


def to_f16(scales: F32, name: str) -> F16:
    """Group scales as they are stored, 1 where that would be 0. Raises CompileError if one is too large for f16."""
    with np.errstate(over="ignore"):
        stored = scales.astype(np.float16)
    if np.isinf(stored).any():
        raise too_large(name)
    return np.where(stored == 0, np.float16(1), stored)


def too_large(name: str) -> CompileError:
    return CompileError(
        f'weight "{name}" has numbers too large for the f16 scales of groups', hint="use a scheme without groups"
    )


def _rounded(quotients: F32, lowest: int, highest: int) -> NDArray[np.int8]:
    """Overwrites the quotients."""
    np.rint(quotients, out=quotients)
    np.clip(quotients, lowest, highest, out=quotients)
    return quotients.astype(np.int8)
