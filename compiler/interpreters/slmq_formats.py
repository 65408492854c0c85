"""Matrices in quantised formats: how they come from values, and products with them. docs/numerics.md sections 3 and 8.

Written from the formulas alone: the packer has rounding of its own (compiler/quantization/rounding.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from compiler.interpreters.slmq_functions import F32, constant, f16_stored, to_i8
from compiler.interpreters.slmq_kernels import CAST_ELEMENTS, SCRATCH_ELEMENTS, matmul_fp, matmul_i8, sum_fp
from compiler.interpreters.slmq_microscaling import elements_of, microscaled_rows, scales_of

Elements = NDArray[np.number[Any]]
BOUND = {"i8": 127, "i4": 7}


@dataclass(frozen=True)
class QuantizedWeight:
    """q [N, K]: int8, or float16 of microscaled elements; scales float32 [N], or [N, K / group]; offsets float32 [N, K / group]
    or empty; kept: the columns of the terms of a sparse matrix [N, K / 2], or empty."""

    q: Elements
    scales: F32
    offsets: F32
    kept: NDArray[np.int32]

    @classmethod
    def of(cls, stored: Quantized) -> QuantizedWeight:
        """A weight that is stored in its format."""
        if stored.format.is_microscaled:
            elements = elements_of(stored.q.view(np.uint8), stored.format.element)
            scales = scales_of(stored.scales.view(np.uint8))
            return cls(elements, scales, np.zeros(0, np.float32), np.zeros(0, np.int32))
        offsets = np.zeros(0, np.float32) if stored.offsets is None else stored.offsets.astype(np.float32)
        kept = kept_columns(stored.q) if stored.format.sparse else np.zeros(0, np.int32)
        return cls(stored.q, stored.scales.astype(np.float32), offsets, kept)


def quantize_weight(weight: F32, form: WeightFormat) -> QuantizedWeight:
    """The values [N, K] in a quantised format, rounded to nearest."""
    step = max(1, CAST_ELEMENTS // weight.shape[1])
    parts = [_quantize_rows(weight[first : first + step], form) for first in range(0, len(weight), step)]
    q = np.concatenate([part[0] for part in parts])
    scales = np.concatenate([part[1] for part in parts])
    offsets = np.concatenate([part[2] for part in parts])
    kept = kept_columns(q) if form.sparse else np.zeros(0, np.int32)
    return QuantizedWeight(q, scales, offsets, kept)


def _quantize_rows(weight: F32, form: WeightFormat) -> tuple[Elements, F32, F32]:
    rows, columns = weight.shape
    if form.is_microscaled:
        return *microscaled_rows(weight, form.element), np.zeros((rows, 0), np.float32)
    if form.sparse:
        weight = weight * largest_two_of_four(weight)
    groups = weight.reshape(rows, -1, form.group or columns)
    bound = BOUND[form.element]
    none = np.zeros((rows, 0), np.float32)
    if form.offsets:
        offsets = f16_stored(groups.min(axis=2)).astype(np.float32)
        span = np.maximum(groups.max(axis=2) - offsets, constant(0))
        scales = _group_scales(span * constant(1 / 15))
        levels = np.clip(np.rint((groups - offsets[..., None]) / scales[..., None]), 0, 15)
        return (levels.reshape(rows, columns) - 8).astype(np.int8), scales, offsets
    raw = np.abs(groups).max(axis=2) * constant(1 / bound)
    scales = _group_scales(raw) if form.group else np.where(raw == 0, constant(1), raw)
    q = to_i8(groups / scales[..., None], lowest=-bound, highest=bound).reshape(rows, columns)
    return q, scales if form.group else scales[:, 0], none


def _group_scales(raw: F32) -> F32:
    stored = f16_stored(raw).astype(np.float32)
    return np.where(stored == 0, constant(1), stored)


def largest_two_of_four(weight: F32) -> NDArray[np.bool_]:
    """Which columns 2:4 sparsity keeps: those with fewer than two better ones among their four, where equal ones earlier are better."""
    size = np.abs(weight).reshape(len(weight), -1, 4)
    better = (size[..., None, :] > size[..., :, None]).sum(axis=-1)
    for column in range(4):
        better[..., column] += (size[..., :column] == size[..., column : column + 1]).sum(axis=-1)
    return (better < 2).reshape(weight.shape)


def kept_columns(q: Elements) -> NDArray[np.int32]:
    """The columns [N, K / 2] of the terms of a sparse product, ascending: of each four those that are not 0, then the first others."""
    used = q.reshape(len(q), -1, 4) != 0
    used_before, others_before = (np.cumsum(flags, axis=-1) - flags for flags in (used, ~used))
    better = np.where(used, used_before, used.sum(axis=-1, keepdims=True) + others_before)
    return np.nonzero((better < 2).reshape(q.shape))[1].reshape(len(q), -1).astype(np.int32)


def matmul_quantized(x: NDArray[np.generic], weight: QuantizedWeight, group: int, sums: F32 | None) -> F32:
    """Products [T, N] of the rows x [T, K], int8 or rounded floats, with a weight; a scale of the rows of x is not in it yet.

    sums [T, K / group]: of the rows of x over groups, for a weight with offsets.
    """
    sparse = weight.kept if weight.kept.size else None
    if not group:
        return _plain(x, weight.q, sparse) * weight.scales
    y = matmul_grouped(x, weight.q, weight.scales, sparse)
    if sums is None:
        return y
    zeros = (weight.scales * constant(8)) + weight.offsets
    return matmul_fp(np.ascontiguousarray(sums.T), np.ascontiguousarray(zeros.T), y)


def _plain(x: NDArray[np.generic], q: Elements, kept: NDArray[np.int32] | None) -> F32:
    """f32(p) of each product: exact integers, or sum_fp over the terms."""
    if x.dtype == np.int8:
        return matmul_i8(x.astype(np.int8, copy=False), q.astype(np.int8, copy=False)).astype(np.float32)
    floats = x.astype(np.float32, copy=False)
    if kept is None:
        return matmul_fp(np.ascontiguousarray(floats.T), np.ascontiguousarray(q.T.astype(np.float32)))
    result = np.empty((len(x), len(q)), np.float32)
    step = max(1, SCRATCH_ELEMENTS // (len(x) * kept.shape[1]))
    for first in range(0, len(q), step):
        columns = kept[first : first + step]
        values = np.take_along_axis(q[first : first + step], columns, axis=1).astype(np.float32)
        result[:, first : first + step] = sum_fp(floats[:, columns] * values)[..., 0]
    return result


def matmul_grouped(
    x: NDArray[np.generic], q: Elements, scales: F32, kept: NDArray[np.int32] | None, start: F32 | None = None
) -> F32:
    """acc = acc + (f32(p_g) * s_g) for the groups g ascending, [T, N]; from `start` or +0. scales [N, groups]."""
    group = q.shape[1] // scales.shape[1]
    total: F32 = np.zeros((len(x), len(q)), np.float32) if start is None else start.copy()
    for g in range(scales.shape[1]):
        columns = slice(g * group, (g + 1) * group)
        inside = None if kept is None else kept[:, columns.start // 2 : columns.stop // 2] - columns.start
        total += _plain(x[:, columns], q[:, columns], inside) * scales[:, g]
    return total
