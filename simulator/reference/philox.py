"""vrng: uniform numbers of Philox4x32-10 (docs/numerics.md, section 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isa.spec import Dtype
from simulator.reference.elements import F32, store
from simulator.reference.operands import ON_CHIP, Context, Issue, destination, has_dtype, has_extents, in_regions, legal

U64 = NDArray[np.uint64]
ROUNDS = 10
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def philox4x32(counter: tuple[U64, U64, U64, U64], key: tuple[int, int]) -> tuple[U64, U64, U64, U64]:
    """Ten rounds; every word is 32 bits in a uint64 array."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> HALF) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def uniform(count: int, first: int, stream: int, key: int) -> F32:
    """u[i] in (0, 1) for counter (first + i, stream, 0, 0); key of 64 bits."""
    c0 = (np.arange(count, dtype=np.uint64) + np.uint64(first & 0xFFFFFFFF)) & LOW
    zero = np.zeros(count, np.uint64)
    c1 = zero + np.uint64(stream & 0xFFFFFFFF)
    word = philox4x32((c0, c1, zero, zero), (key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF))[0]
    return (((word >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0**-23).astype(np.float32)


def check_vrng(context: Context, issue: Issue) -> None:
    target = issue["ta"]
    legal(context, "ta", target)
    in_regions("ta", target, ON_CHIP)
    has_dtype("ta", target, (Dtype.F32,))
    has_extents("ta", target, (target.extents[0], 1, 1, 1))
    destination(context, "ta", target, ())


def vrng(context: Context, issue: Issue) -> None:
    """ta[i] = uniform number with key x[rd] and counter (x[rs] + i, x[rt], 0, 0)."""
    store(context.memory, issue["ta"], uniform(issue["ta"].extents[0], issue.rs, issue.rt, issue.rd))
