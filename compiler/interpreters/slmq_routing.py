"""Softmax over a row and the choice of its largest elements, by docs/numerics.md sections 6, 8 and 11, on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.slmq_functions import F32, exp, maximum
from compiler.interpreters.slmq_kernels import inverse, sum_fp

NOBODY = -1


def softmax(x: F32) -> F32:
    """Over the last dimension."""
    largest = x[..., :1]
    for index in range(1, x.shape[-1]):
        largest = maximum(largest, x[..., index : index + 1])
    powers = exp(x - largest)
    return powers * inverse(sum_fp(powers))


def top_k(x: F32, count: int) -> list[NDArray[Any]]:
    """The values x [.., N] with +0 for those not chosen, and the indices int32 [.., count] of the chosen ones.

    Of equal values the first is chosen; NaN and -inf never are: then -1 fills up the indices.
    """
    rows = x.reshape(-1, x.shape[-1])
    candidates = np.where(rows > -np.inf, rows, np.float32(-np.inf))
    chosen = np.argsort(-candidates, axis=-1, kind="stable")[:, :count].astype(np.int32)
    chosen[np.take_along_axis(candidates, chosen, axis=-1) == -np.inf] = NOBODY
    kept = np.zeros_like(rows)
    for row, indices in enumerate(chosen):
        indices = indices[indices != NOBODY]
        kept[row, indices] = rows[row, indices]
    return [kept.reshape(x.shape), chosen.reshape(*x.shape[:-1], count)]
