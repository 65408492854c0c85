"""Pruning to 2:4 sparsity: which two of four consecutive weights of a row stay.

Wanda: Sun, Liu, Bair, Kolter: A Simple and Effective Pruning Approach for Large Language Models, ICLR 2024, equation 1.
Magnitude is its baseline, and the usual one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.quantization.job import Method
from compiler.quantization.rounding import KEPT, SPARSE_GROUP

F32 = NDArray[np.float32]


def magnitude(matrix: F32, inputs: F32) -> F32:
    """|W|."""
    return np.abs(matrix)


def wanda(matrix: F32, inputs: F32) -> F32:
    """|W_nk| * ||X_k||, the norm being over the tokens."""
    return np.abs(matrix) * np.sqrt(np.square(inputs, dtype=np.float64).sum(axis=0)).astype(np.float32)


def kept_mask(importance: F32) -> NDArray[np.bool_]:
    """[N, K]: whether a weight is among the two most important of its four; of equal ones the later go."""
    groups = importance.reshape(len(importance), -1, SPARSE_GROUP)
    order = np.argsort(-groups, axis=-1, kind="stable")
    kept = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(kept, order[..., :KEPT], True, axis=-1)
    return kept.reshape(importance.shape)


MAGNITUDE = Method("magnitude", "keeps the larger weights (2:4)", "baseline of Sun et al. 2024", importance=magnitude)
WANDA = Method(
    "wanda",
    "keeps the weights whose products with inputs are larger (2:4)",
    "Sun et al. 2024",
    importance=wanda,
    needs_inputs=True,
)
