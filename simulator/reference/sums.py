"""sum_fp (docs/numerics.md, section 2): the order of every floating sum of the machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isa.spec import SUM_QUANTUM

F32 = NDArray[np.float32]


def quantum_sums(terms: F32) -> F32:
    """Terms [..., 32, n] to the values of their quanta [..., n]; overwrites the terms."""
    width = SUM_QUANTUM
    while width > 1:
        width //= 2
        np.add(terms[..., :width, :], terms[..., width : 2 * width, :], out=terms[..., :width, :])
    return terms[..., 0, :]


def sum_fp(terms: F32) -> F32:
    """The sum over the last dimension, starting at +0: [..., k] to [...]."""
    count = terms.shape[-1]
    quanta = -(-count // SUM_QUANTUM)
    padded = np.zeros((*terms.shape[:-1], quanta * SUM_QUANTUM), np.float32)
    padded[..., :count] = terms
    values = quantum_sums(padded.reshape(-1, SUM_QUANTUM, 1)).reshape(*terms.shape[:-1], quanta)
    total = np.zeros(terms.shape[:-1], np.float32)
    for quantum in range(quanta):
        total = total + values[..., quantum]
    return total
