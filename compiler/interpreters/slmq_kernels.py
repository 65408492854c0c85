"""Sums and products of docs/numerics.md sections 2, 3 and 8 on NumPy arrays, in bounded memory.

float32 operations of NumPy are IEEE operations with one rounding each; BLAS is used only where all sums are exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.slmq_functions import F32, constant, rounded_to, to_i8

QUANTUM = 32
SCRATCH_ELEMENTS = 1 << 17
"""Products held at once, 512 KB: best for common second level caches."""
EXACT_COLUMNS = 1024
"""int8 products summed exactly in float32: 1024 * 128 * 128 = 2^24."""
SMALLEST_RANGE = constant(2.0**-119)
"""Of rows whose numbers are smaller: their scale and its reciprocal would not be normal numbers."""
CAST_ELEMENTS = 1 << 22
"""Weight elements converted at once."""


def pad_quanta(x: F32) -> F32:
    """x [K, N] with rows of +0 added so that K is a multiple of 32."""
    missing = -len(x) % QUANTUM
    if not missing:
        return x
    return np.concatenate([x, np.zeros((missing, *x.shape[1:]), np.float32)])


def _fold_quantum(terms: F32) -> F32:
    """The value of a quantum of terms [32, ...], in place."""
    half = QUANTUM // 2
    while half:
        np.add(terms[:half], terms[half : 2 * half], out=terms[:half])
        half //= 2
    return terms[0]


def sum_fp(terms: F32) -> F32:
    """Section 2 along the last dimension: [..., K] gives [..., 1]."""
    flat = pad_quanta(np.ascontiguousarray(terms.reshape(-1, terms.shape[-1]).T))
    total = np.zeros(flat.shape[1], np.float32)
    for first in range(0, len(flat), QUANTUM):
        total += _fold_quantum(flat[first : first + QUANTUM].copy())
    return total.reshape(*terms.shape[:-1], 1)


def matmul_fp(a: F32, b: F32, start: F32 | None = None) -> F32:
    """y[t, n] = sum_fp over k of a[k, t] * b[k, n], continuing from `start` [T, N] (absent: +0).

    Both operands have the summed dimension first. b should be contiguous.
    """
    rows, columns = a.shape[1], b.shape[1]
    if rows > columns:  # NumPy is fast when the innermost dimension is long; the factors may be exchanged.
        return np.ascontiguousarray(matmul_fp(b, a, None if start is None else start.T).T)
    result = np.zeros((rows, columns), np.float32) if start is None else np.array(start, np.float32, order="C")
    a, b = pad_quanta(a), np.ascontiguousarray(pad_quanta(b))
    width = min(columns, SCRATCH_ELEMENTS // QUANTUM)
    height = max(1, SCRATCH_ELEMENTS // (QUANTUM * width))
    for left in range(0, columns, width):
        for top in range(0, rows, height):
            _accumulate(
                result[top : top + height, left : left + width], a[:, top : top + height], b[:, left : left + width]
            )
    return result


def _accumulate(result: F32, a: F32, b: F32) -> None:
    """Adds the quanta of one block to result [T, N], ascending."""
    scratch = np.empty((QUANTUM, *result.shape), np.float32)
    for first in range(0, len(a), QUANTUM):
        np.multiply(a[first : first + QUANTUM, :, None], b[first : first + QUANTUM, None, :], out=scratch)
        np.add(result, _fold_quantum(scratch), out=result)


def matmul_i8(a: NDArray[np.int8], weight: NDArray[np.int8]) -> NDArray[np.int32]:
    """Exact [T, N] product of a [T, K] and the transposed weight [N, K]."""
    total = np.zeros((len(a), len(weight)), np.int32)
    step = max(1, CAST_ELEMENTS // EXACT_COLUMNS)
    for first in range(0, a.shape[1], EXACT_COLUMNS):
        part = a[:, first : first + EXACT_COLUMNS].astype(np.float32)
        for row in range(0, len(weight), step):
            block = weight[row : row + step, first : first + EXACT_COLUMNS].astype(np.float32)
            total[:, row : row + step] += (part @ block.T).astype(np.int32)
    return total


def quantize_rows(x: F32) -> tuple[NDArray[np.int8], F32]:
    """int8 values and scales [..., 1] of the rows [..., K]."""
    scale, factor = scale_of(np.abs(x).max(axis=-1, keepdims=True), 127)
    return to_i8(x * factor), scale


def scale_of(largest: F32, bound: int) -> tuple[F32, F32]:
    """The scale of numbers up to `largest` as integers up to `bound`, and what they are multiplied by."""
    size: F32 = np.maximum(largest, SMALLEST_RANGE)
    return size * constant(1 / bound), constant(bound) / size


def inverse(x: F32) -> F32:
    """The rows of a tensor are divided by a number of each through this."""
    result: F32 = constant(1) / x
    return result


def columns_first(weight: F32, element: str) -> F32:
    """A weight [N, K] in its format (f32, f16 or bf16) as float32 [K, N], for matmul_fp."""
    return np.ascontiguousarray(rounded_to(element, weight).T)


def rms_norm(x: F32, weight: F32, eps: float, offset: float) -> F32:
    """Section 8, over the last dimension; a weight with more dimensions has values for each of them."""
    mean = sum_fp(x * x) * constant(1 / x.shape[-1])
    normed: F32 = x * inverse(np.sqrt(mean + constant(eps)))
    shifted: F32 = weight + constant(offset)
    return normed * shifted


def layer_norm(x: F32, weight: F32, bias: F32 | None, eps: float) -> F32:
    """Section 8, over the last dimension; weight and bias may have more dimensions."""
    share = constant(1 / x.shape[-1])
    mean: F32 = sum_fp(x) * share
    centred: F32 = x - mean
    variance = sum_fp(centred * centred) * share
    normed: F32 = centred * inverse(np.sqrt(variance + constant(eps)))
    scaled: F32 = normed * weight
    return scaled if bias is None else scaled + bias


def rope(x: F32, cos: F32, sin: F32) -> F32:
    """Section 8: x [T, heads, hd], tables [T, dim / 2]."""
    half = cos.shape[1]
    cos, sin = cos[:, None], sin[:, None]
    first, second = x[..., :half], x[..., half : 2 * half]
    result = x.copy()
    np.subtract(first * cos, second * sin, out=result[..., :half])
    np.add(second * cos, first * sin, out=result[..., half : 2 * half])
    return result
