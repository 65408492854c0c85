"""Pruning to 2:4 sparsity: which two of four consecutive weights of a row stay.

Wanda: Sun, Liu, Bair, Kolter: A Simple and Effective Pruning Approach for Large Language Models, ICLR 2024, equation 1.
Magnitude is its baseline, and the usual one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.quantization.job import Method

F32 = NDArray[np.float32]


def magnitude(matrix: F32, inputs: F32) -> F32:
    """|W|."""
    return np.abs(matrix)


def wanda(matrix: F32, inputs: F32) -> F32:
    """|W_nk| * ||X_k||, the norm being over the tokens."""
    return np.abs(matrix) * np.sqrt(np.square(inputs, dtype=np.float64).sum(axis=0)).astype(np.float32)


MAGNITUDE = Method("magnitude", "keeps the larger weights (2:4)", "baseline of Sun et al. 2024", importance=magnitude)
WANDA = Method(
    "wanda",
    "keeps the weights whose products with inputs are larger (2:4)",
    "Sun et al. 2024",
    importance=wanda,
    needs_inputs=True,
)
