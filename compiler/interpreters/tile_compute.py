"""Engine ops of the tile level on views, by docs/numerics.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.sampling import uniforms_from
from compiler.interpreters.slmq_attention import softmax_block
from compiler.interpreters.slmq_formats import matmul_grouped
from compiler.interpreters.slmq_functions import erf, exp, log, maximum, sigmoid, tanh
from compiler.interpreters.slmq_kernels import QUANTUM, matmul_fp, matmul_i8, sum_fp
from compiler.interpreters.tile_memory import F32, View, copy

BINARY: dict[str, Callable[[F32, F32], F32]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "min": lambda a, b: -maximum(-a, -b),
    "max": maximum,
    "lt": lambda a, b: (a < b).astype(np.float32),
}
UNARY: dict[str, Callable[[F32], F32]] = {
    "mov": lambda a: a, "abs": np.abs, "sqrt": np.sqrt, "exp": exp, "log": log, "sigmoid": sigmoid, "tanh": tanh,
    "erf": erf,
}  # fmt: skip
MAD: dict[str, Callable[[F32, F32], F32]] = {  # of the rounded product and c
    "mad": lambda p, c: p + c,
    "msub": lambda p, c: p - c,
    "nmsub": lambda p, c: c - p,
}


def mm(c: View, a: View, b: View, accumulate: bool) -> None:
    """c[i3, i2, i1, n] (+)= sum_k a[i3, i2, i1, k] b[i2, n, k]."""
    for batch in range(a.extents[2]):
        target = c.elements()[:, batch]
        rows = target.size // target.shape[-1]
        start = target.reshape(rows, -1).copy() if accumulate else None
        which = batch if b.extents[2] > 1 else 0
        if a.dtype == "i8":
            integers: NDArray[np.int8] = a.elements()[:, batch].reshape(rows, -1)
            product = matmul_i8(integers, np.ascontiguousarray(b.integers()[0, which]))
            product = product if start is None else product + start
        elif b.sparse:
            product = sparse_product(a.read()[:, batch].reshape(rows, -1), b, which, start)
        else:
            floats = a.read()[:, batch].reshape(rows, -1)
            product = matmul_fp(np.ascontiguousarray(floats.T), np.ascontiguousarray(b.read()[0, which].T), start)
        target[...] = product.reshape(target.shape)


def mmg(c: View, a: View, b: View, scales: View, accumulate: bool) -> None:
    """c[i1, n] (+)= sum over groups g of b of f32(sum_k in g a[i1, k] b[n, k]) * scales[n, g]."""
    target = c.elements()[0, 0]
    rows = a.elements()[0, 0] if a.dtype == "i8" else a.read()[0, 0]
    start = target.copy() if accumulate else None
    kept = b.kept()[0, 0] if b.sparse else None
    q = b.integers() if b.dtype in ("i8", "i4") else b.read()
    target[...] = matmul_grouped(rows, q[0, 0], scales.read()[0, 0], kept, start)


def sparse_product(rows: F32, b: View, which: int, start: F32 | None) -> F32:
    """sum_fp over the kept terms of each row of b, from `start`."""
    q, kept = b.integers()[0, which].astype(np.float32), b.kept()[0, which]
    terms = rows[:, kept] * np.take_along_axis(q, kept, axis=1)
    total = np.zeros(terms.shape[:2], np.float32) if start is None else start
    for first in range(0, terms.shape[2], QUANTUM):
        total = total + sum_fp(terms[..., first : first + QUANTUM])[..., 0]
    return total


def vun(function: str, target: View, source: View | float) -> None:
    if isinstance(source, View) and function == "mov" and source.dtype == target.dtype:
        copy(target, source)
        return
    target.write(UNARY[function](value_of(source)))


def value_of(source: View | float) -> F32:
    return source.read() if isinstance(source, View) else np.array(source, np.float32)


def vred(function: str, target: View, source: View) -> None:
    values = source.read()
    if function == "sum":
        target.write(sum_fp(values))
        return
    values = np.abs(values) if function == "amax" else values
    target.write(values.max(axis=-1, keepdims=True))


def vsmx(p: View, s: View, ml: View, first: int, window: int) -> None:
    """Rows are (i3, i2, i1); the token is i3."""
    scores, state = s.read(), ml.elements()
    tokens, heads, queries, keys = scores.shape
    distance = first + np.arange(tokens)[:, None] - np.arange(keys)[None]
    visible = ((distance >= 0) & (distance < window))[:, None, None]
    rows = tokens * heads * queries
    flat = np.broadcast_to(visible, scores.shape).reshape(rows, keys)
    m, total = (np.ascontiguousarray(state[..., word]).reshape(rows, 1) for word in (0, 1))
    weights, new, new_total, alpha = softmax_block(scores.reshape(rows, keys), flat, m, total)
    for word, values in enumerate((new, new_total, alpha)):
        state[..., word] = values.reshape(state.shape[:-1])
    p.write(weights.reshape(scores.shape))


def vtopk(entries: View, row: View, index: int) -> None:
    """Merges into (value, index) pairs: the index word lies behind each value."""
    values = entries.elements()[0, 0, 0]
    places = View(entries.array, entries.base + 4, "i32", entries.extents, entries.strides).elements()[0, 0, 0]
    candidates = [(float(v), int(i)) for v, i in zip(values, places, strict=True)]
    candidates += [(float(v), index + i) for i, v in enumerate(row.read().reshape(-1))]
    kept = sorted((c for c in candidates if c[0] > -np.inf), key=lambda c: (-c[0], c[1]))[: len(values)]
    kept += [(-np.inf, -1)] * (len(values) - len(kept))
    values[...] = [value for value, _ in kept]
    places[...] = [place for _, place in kept]


def vrng(target: View, first: int, second: int, key: int) -> None:
    target.write(uniforms_from(first, target.extents[0], second, key))
