"""How well logits predict a text, and how far they are from reference logits: sums over windows, in float64.

docs/evaluation.md has the formulas. Nothing is kept but the sums, and rows are worked on by blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
BLOCK_ELEMENTS = 1 << 21
"""Logits worked on at once: 16 MB in float64."""


def log_probabilities(logits: F32) -> F64:
    """log softmax of each row of logits [T, V]. A row without a finite largest value, or with a NaN, becomes NaN."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def kl_divergences(reference: F64, other: F64) -> F64:
    """KL(reference || other) of each row in nats, from log probabilities [T, V]; a probability of 0 adds 0."""
    p = np.exp(reference)
    terms = np.where(p > 0, p * (reference - other), np.where(np.isnan(p), np.nan, 0.0))
    return terms.sum(axis=1)


@dataclass
class Comparison:
    """Sums over predicted positions; `invalid` of them have logits that are no distribution (a NaN, or no finite largest).

    kl_sum and agreed are about the `compared` positions, those for which reference logits were given.
    """

    predicted: int = 0
    compared: int = 0
    invalid: int = 0
    loss_sum: float = 0.0
    kl_sum: float = 0.0
    agreed: int = 0

    def add(self, logits: F32, targets: Sequence[int], reference: F32 | None = None) -> None:
        """Logits [T, V] that predict targets [T]; reference [T, V] of the same positions. Raises ValueError for other shapes."""
        if len(targets) != len(logits) or (reference is not None and reference.shape != logits.shape):
            found = "" if reference is None else f" against {reference.shape}"
            raise ValueError(f"logits {logits.shape}{found} for {len(targets)} targets")
        step = max(1, BLOCK_ELEMENTS // logits.shape[1])
        for first in range(0, len(logits), step):
            rows = slice(first, first + step)
            self._add_block(logits[rows], targets[rows], None if reference is None else reference[rows])

    def _add_block(self, logits: F32, targets: Sequence[int], reference: F32 | None) -> None:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            logs = log_probabilities(logits)
            self.loss_sum -= float(logs[np.arange(len(logs)), np.asarray(targets)].sum())
            is_invalid = np.isnan(logs).any(axis=1)
            self.predicted += len(logs)
            self.invalid += int(is_invalid.sum())
            if reference is None:
                return
            expected = log_probabilities(reference)
            self.kl_sum += float(kl_divergences(expected, logs).sum())
        same = logits.argmax(axis=1) == reference.argmax(axis=1)
        self.agreed += int((same & ~is_invalid & ~np.isnan(expected).any(axis=1)).sum())
        self.compared += len(logs)

    @property
    def nll_mean(self) -> float:
        """Mean loss per predicted token, nats."""
        return self.loss_sum / self.predicted

    @property
    def perplexity(self) -> float:
        """exp(nll_mean), infinite where that is too large for binary64."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nll_mean))

    @property
    def kl_mean(self) -> float:
        """Mean KL divergence from the reference, nats."""
        return self.kl_sum / self.compared

    @property
    def top1_agreement(self) -> float:
        """The part of the positions whose most probable token is the reference's; the first of equals counts, NaN never agrees."""
        return self.agreed / self.compared
