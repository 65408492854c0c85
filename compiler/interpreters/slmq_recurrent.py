"""Convolution and scan of docs/numerics.md section 12, and what they remember between chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compiler.interpreters.slmq_functions import F32, exp
from compiler.interpreters.slmq_kernels import sum_fp


@dataclass(frozen=True)
class RecurrentState:
    """`values` before the token at position `length`: the last K - 1 rows of a convolution, or h [m, N] of a scan."""

    length: int
    values: F32


def causal_conv(rows: F32, weight: F32, bias: F32 | None) -> F32:
    """[T, channels] from rows [K - 1 + T, channels], the first K - 1 those before the chunk, and weight [channels, K]."""
    taps = weight.shape[1]
    count = len(rows) - taps + 1
    y: F32 = rows[:count] * weight[:, 0]
    for tap in range(1, taps):
        y = (rows[tap : tap + count] * weight[:, tap]) + y
    return y if bias is None else y + bias


def selective_scan(u: F32, dt: F32, a: F32, b: F32, c: F32, h: F32) -> tuple[F32, F32]:
    """(y [T, m], the state behind the last token) from u, dt [T, m], a, h [m, N], b, c [T, N]."""
    y = np.empty_like(u)
    for token in range(len(u)):
        step = dt[token][:, None]
        h = (h * exp(step * a)) + ((step * u[token][:, None]) * b[token])
        y[token] = sum_fp(h * c[token])[:, 0]
    return y, h
