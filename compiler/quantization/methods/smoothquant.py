"""SmoothQuant: outliers of inputs moved into weights.

Xiao, Lin, Seznec, Wu, Demouth, Han: SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models,
ICML 2023, equation 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.quantization.job import Job, Method
from compiler.quantization.methods.scaling import fold_channels
from compiler.quantization.structure import Channels

F32 = NDArray[np.float32]
ALPHA = 0.5
"""How much of the difficulty moves into the weights."""
LEAST = 1e-5
"""Of a factor: a channel that is all but 0 is not blown up without bounds."""


def factors_of(input_max: F32, weight_max: F32) -> F32:
    """s_j = max|X_j|^a / max|W_j|^(1 - a); 1 where a channel is 0 throughout."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = input_max**ALPHA / weight_max ** (1 - ALPHA)
    usable = (input_max > 0) & (weight_max > 0)
    return np.where(usable, np.maximum(factors, LEAST), 1).astype(np.float32)


def fold(job: Job) -> None:
    def choose(place: Channels, rows: F32, names: list[str]) -> F32:
        inputs = place.by_factor(np.abs(rows).max(axis=0)).max(axis=0)
        columns = np.max([np.abs(job.weights.load(name)).max(axis=0) for name in names], axis=0)
        return factors_of(inputs, place.by_factor(columns).max(axis=0))

    fold_channels(job, "smoothquant", choose)


SMOOTHQUANT = Method(
    "smoothquant", "moves outliers of inputs into weights", "Xiao et al. 2023", fold=fold, calibrated=True
)
