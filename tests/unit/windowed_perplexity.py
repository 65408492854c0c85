"""Perplexity of a token sequence under any logits function, as examples/storyteller/README.md states the protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.comparison import log_probabilities

LogitsFunction = Callable[[Sequence[int]], NDArray[np.float32]]


@dataclass(frozen=True)
class Perplexity:
    """nll_mean: mean loss in nats of the `predicted` tokens; value: its exponential."""

    value: float
    nll_mean: float
    predicted: int
    windows: int


def perplexity(logits_fn: LogitsFunction, tokens: Sequence[int], window: int = 512) -> Perplexity:
    """Cuts `tokens` into windows that do not overlap (a shorter rest is dropped) and predicts all but the first token of each.

    logits_fn gives logits [window, V] of a window that starts at position 0. The loss is evaluated in float64. Raises
    ValueError if there is no whole window or a window of less than two tokens.
    """
    if window < 2 or len(tokens) < window:
        raise ValueError(f"expected at least one window of {window} tokens (2 or more), found {len(tokens)} tokens")
    windows = len(tokens) // window
    total = 0.0
    for first in range(0, windows * window, window):
        part = list(tokens[first : first + window])
        total += float(losses(logits_fn(part)[:-1], part[1:]).sum())
    predicted = windows * (window - 1)
    return Perplexity(exp(total / predicted), total / predicted, predicted, windows)


def losses(logits: NDArray[np.float32], targets: Sequence[int]) -> NDArray[np.float64]:
    """-log softmax(logits [T, V])[target] for each row, float64 [T]."""
    return -log_probabilities(logits)[np.arange(len(logits)), np.asarray(targets)]
