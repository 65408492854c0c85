"""The int4 KV cache of the slmq interpreter against docs/numerics.md sections 8 and 9, in scalars and whole numbers."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.interpreters.slmq_attention import Int4State, QuantizedBlock, attend
from tests.unit.test_interpreter_attention import one, ordered_sum, scalar_softmax, tanh

F = np.float32
GROUPS, PER_GROUP, HEAD_DIM = 2, 2, 5
SEVENTH = F(float.fromhex("0x1.24924ap-3"))
"""The binary32 number next to 1/7."""


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def bf16(x: Any) -> np.float32:
    """Rounded to the nearer of the two bf16 numbers around x, which differ in bit 16, ties to the even one."""
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    low, rest = bits >> 16, bits & 0xFFFF
    if rest > 0x8000 or (rest == 0x8000 and low & 1):
        low += 1
    return F(struct.unpack("<f", struct.pack("<I", low << 16))[0])


def nibble(x: Any) -> int:
    """f32 to i4: Python rounds exact fractions to nearest even."""
    if math.isnan(x):
        return 0
    return int(math.copysign(8, x)) if math.isinf(x) and x < 0 else 7 if x > 7 else max(-8, round(Fraction(float(x))))


def largest(values: Any) -> np.float32:
    """Of the absolute values, NaN if there is one."""
    numbers = [abs(F(value)) for value in values]
    return F(math.nan) if any(math.isnan(n) for n in numbers) else max(numbers)


def size_of(values: Any) -> np.float32:
    """The largest of the numbers that share a scale, at least 2^-119."""
    size = largest(values)
    return size if math.isnan(size) else max(size, F(2.0**-119))


def scalar_keys(keys: NDArray[np.float32]) -> tuple[list[list[int]], list[np.float32]]:
    """q [256][hd] and a scale for each channel of a block [256, hd]."""
    sizes = [size_of(keys[:, d]) for d in range(keys.shape[1])]
    q = [[nibble(key * (F(7) / size)) for key, size in zip(row, sizes, strict=True)] for row in keys]
    return q, [size * SEVENTH for size in sizes]


def scalar_values(values: NDArray[np.float32]) -> tuple[list[list[int]], list[np.float32]]:
    """q [256][hd] and a scale for each position."""
    sizes = [size_of(row) for row in values]
    q = [[nibble(value * (F(7) / size)) for value in row] for row, size in zip(values, sizes, strict=True)]
    return q, [size * SEVENTH for size in sizes]


def scalar_attend(
    q: NDArray[np.float32], k: NDArray[np.float32], v: NDArray[np.float32], position: int, chunk: tuple[int, int],
    window: int | None, softcap: float | None,
) -> list[np.float32]:  # fmt: skip
    """Section 9 for one scaled query row [hd] at `position` of a chunk, over keys and values [n, hd] as appended."""
    m, total, acc = F(np.finfo(np.float32).min), F(0), [F(0)] * len(q)
    oldest = 0 if window is None else max(0, chunk[0] - window + 1)
    for first in range(oldest // 256 * 256, chunk[1], 256):
        block = range(first, min(first + 256, chunk[1]))
        full = first + 256 <= chunk[0]
        queries, keys, values = list(q), k[first : block.stop].tolist(), v[first : block.stop].tolist()
        value_scales: list[np.float32] = []
        if full:
            keys, channel_scales = scalar_keys(k[first : block.stop])
            values, value_scales = scalar_values(v[first : block.stop])
            queries = [bf16(x * scale) for x, scale in zip(q, channel_scales, strict=True)]
        scores = [ordered_sum([queries[d] * F(key[d]) for d in range(len(q))]) for key in keys]
        if softcap is not None:
            scores = [one(tanh, score * F(1 / softcap)) * F(softcap) for score in scores]
        visible = [0 <= position - j < (window or math.inf) for j in block]
        weights, m, total, alpha = scalar_softmax(scores, visible, m, total)
        if full:
            weights = [weight * scale for weight, scale in zip(weights, value_scales, strict=True)]
        weights = [bf16(weight) for weight in weights]
        for d in range(len(q)):
            acc[d] = ordered_sum(
                [w * F(value[d]) for w, value in zip(weights, values, strict=True)], float(acc[d] * alpha)
            )
    inverse = F(1) / total
    return [value * inverse for value in acc]


def inputs(length: int, seed: int) -> tuple[NDArray[np.float32], ...]:
    """q [T, H, hd], k and v [T, G, hd], all values of bf16; channels of very different sizes, as keys have them."""
    rng = np.random.default_rng(seed)
    heads = [GROUPS * PER_GROUP, GROUPS, GROUPS]
    q, k, v = (rng.normal(size=(length, h, HEAD_DIM)).astype(np.float32) for h in heads)
    k *= np.array([0.1, 1, 8, 1, 0.01], np.float32)
    return tuple((x.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32) for x in (q, k, v))


def in_chunks(
    data: tuple[NDArray[np.float32], ...], borders: list[int], window: int | None = None, softcap: float | None = None
) -> NDArray[np.float32]:
    q, k, v = data
    state = Int4State(GROUPS, HEAD_DIM)
    results: list[NDArray[np.float32]] = []
    for start, stop in pairwise(borders):
        state.append(k[start:stop], v[start:stop], None)
        results.append(attend(q[start:stop], state, "bf16", window, softcap))
    return np.concatenate(results)


@pytest.mark.parametrize(("window", "softcap"), [(None, None), (20, None), (None, 1.5), (300, 3.0), (257, None)])
def test_rows_over_three_blocks(window: int | None, softcap: float | None) -> None:
    data = inputs(530, 3)
    found = in_chunks(data, [0, 200, 256, 300, 512, 530], window, softcap)
    chunks = {255: (200, 256), 256: (256, 300), 300: (300, 512), 511: (300, 512), 512: (512, 530), 529: (512, 530)}
    for position, chunk in chunks.items():
        for head in (0, 3):
            k, v = (x[:, head // PER_GROUP] for x in data[1:])
            expected = scalar_attend(data[0][position, head], k, v, position, chunk, window, softcap)
            np.testing.assert_array_equal(
                found[position, head].view(np.uint32), np.array(expected, "f4").view(np.uint32)
            )


@pytest.mark.parametrize("window", [None, 1, 7, 256, 257])
def test_chunks_do_not_change_bits(window: int | None) -> None:
    data = inputs(600, 4)
    whole = in_chunks(data, [0, 256, 512, 600], window)
    for borders in ([0, 1, 255, 256, 257, 300, 511, 512, 513, 600], [0, *range(128, 257, 128), 400, 512, 599, 600]):
        np.testing.assert_array_equal(in_chunks(data, borders, window).view(np.uint32), whole.view(np.uint32))


def test_the_own_block_is_exact_and_the_one_before_is_not() -> None:
    """Up to 256 positions an int4 cache holds nothing in int4."""
    q, k, v = inputs(300, 5)
    found = in_chunks((q, k, v), [0, 256, 300])
    for position, exact in ((255, True), (256, False)):
        scores = k[: position + 1, 0].astype(np.float64) @ q[position, 0].astype(np.float64)
        weights = np.exp(scores - scores.max())
        expected = weights @ v[: position + 1, 0] / weights.sum()
        worst = np.abs(found[position, 0] - expected).max() / np.abs(expected).max()
        assert (worst < 0.01) == exact
        assert worst < 0.3


def test_blocks_with_special_values() -> None:
    """Zeros, one channel or row that holds them alone, infinities, NaN and the least subnormal numbers."""
    rng = np.random.default_rng(6)
    keys, values = (rng.normal(size=(1, 256, HEAD_DIM)).astype(np.float32) for _ in range(2))
    for x in (keys, values):
        x[0, :, 1] = 0
        x[0, 3], x[0, 4, 2], x[0, 5, 3] = 0, math.inf, math.nan
        x[0, 6], x[0, 7] = F(2**-149), -F(3.3e38)
        x[0, 8] = [7, -7, 3.5, 2.5, -0.0]
    block = QuantizedBlock.of(keys, values)
    for found, scales, expected in (
        (block.keys[0], block.key_scales[0], scalar_keys(keys[0])),
        (block.values[0], block.value_scales[0], scalar_values(values[0])),
    ):
        assert found.tolist() == expected[0]
        np.testing.assert_array_equal(scales, np.array(expected[1], np.float32))
    assert block.values[0, 8].tolist() == [7, -7, 4, 2, 0]  # 7 * f32(1/7) is 1, and 3.5 goes to the even 4
    assert block.value_scales[0, 8] == 1
    for row in (3, 6):  # zeros, and numbers far below the smallest scale
        assert not block.values[0, row].any() and block.value_scales[0, row] == F(2.0**-119) * SEVENTH
