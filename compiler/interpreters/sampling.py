"""Sampling of docs/numerics.md sections 6, 7 and 10."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.slmq_functions import F32, exp, f32_constant, log
from compiler.interpreters.slmq_kernels import sum_fp

MAX_LIST = 64
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class SamplerSettings:
    """temperature 0 is greedy. top_k 0 and top_p 1 sample the whole vocabulary; else the list has top_k or 64 entries.

    seed: 64 bits. Raises ValueError for settings outside their ranges.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or more, found {self.temperature}")
        if not 0 <= self.top_k <= MAX_LIST:
            raise ValueError(f"top_k must be 0 .. {MAX_LIST}, found {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, found {self.top_p}")
        if not 0 <= self.seed < 1 << 64:
            raise ValueError(f"seed must be 0 .. 2^64 - 1, found {self.seed}")


def philox_words(first: int, count: int, second: int, seed: int) -> NDArray[np.uint32]:
    """The first output word of Philox4x32-10 for the counters (first + i, second, 0, 0), i < count."""
    words = [np.arange(first, first + count, dtype=np.uint64)]
    words += [np.full(count, value, np.uint64) for value in (second, 0, 0)]
    keys = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(ROUNDS):
        product = [words[0] * np.uint64(MULTIPLIERS[0]), words[2] * np.uint64(MULTIPLIERS[1])]
        high, kept = [p >> np.uint64(32) for p in product], [p & WORD for p in product]
        words = [high[1] ^ words[1] ^ np.uint64(keys[0]), kept[1], high[0] ^ words[3] ^ np.uint64(keys[1]), kept[0]]
        keys = [(key + weyl) & 0xFFFFFFFF for key, weyl in zip(keys, WEYL, strict=True)]
    return words[0].astype(np.uint32)


def uniforms(count: int, position: int, seed: int) -> F32:
    """u_i of the counters (i, position), strictly between 0 and 1."""
    return uniforms_from(0, count, position, seed)


def uniforms_from(first: int, count: int, position: int, seed: int) -> F32:
    """u_i of the counters (first + i, position), i < count."""
    words = philox_words(first, count, position, seed)
    return ((words >> np.uint32(9)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23)


def top_list(values: F32, entries: int) -> tuple[F32, NDArray[np.int64]]:
    """Section 6: values and indices of the largest entries, -inf and -1 at the end where there are too few."""
    candidates = np.nonzero(~np.isnan(values) & (values > -np.inf))[0]
    order = candidates[np.argsort(-values[candidates], kind="stable")][:entries]
    missing = entries - len(order)
    best = np.concatenate([values[order], np.full(missing, -np.inf, np.float32)])
    return best, np.concatenate([order, np.full(missing, -1)])


def greedy(values: F32) -> int:
    """The index of the largest value, the lowest on a tie; -1 if all are NaN or -inf."""
    return int(top_list(values, 1)[1][0])


def gumbel(values: F32, position: int, seed: int) -> F32:
    """values_i - log(-1 * log(u_i))."""
    return values - log(np.float32(-1) * log(uniforms(len(values), position, seed)))


@np.errstate(all="ignore")
def sample_token(logits: F32, settings: SamplerSettings, position: int) -> int:
    """Section 10: the token after the row `logits` [V] of position `position`."""
    if settings.temperature == 0:
        return greedy(logits)
    inverse = f32_constant(1 / Fraction(settings.temperature))
    if settings.top_k == 0 and settings.top_p == 1:
        return greedy(gumbel(logits * inverse, position + 1, settings.seed))
    best, indices = top_list(logits, settings.top_k or MAX_LIST)
    scaled = best * inverse
    weights = exp(scaled - scaled[0])
    probabilities = weights / sum_fp(weights)
    before = np.triu(np.ones((len(best), len(best)), np.float32), 1)
    mass = sum_fp((probabilities[:, None] * before).T)[:, 0]
    kept = (mass < np.float32(settings.top_p)).astype(np.float32)
    chosen = greedy(gumbel(log(probabilities * kept), position + 1, settings.seed))
    return int(indices[chosen]) if chosen >= 0 else -1
