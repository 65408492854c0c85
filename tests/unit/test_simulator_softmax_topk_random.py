"""vsmx, vtopk and vrng against scalar Python and published vectors."""

from __future__ import annotations

import math
import random
import struct

import mpmath
import numpy as np
import pytest

from isa.spec import Dtype, Region
from simulator.reference.philox import philox4x32
from tests.unit.simulator_support import Core, add, f32, mul, pack, same, store_bits, sum_fp, tensor

FLT_MAX = 3.4028234663852886e38
INF = math.inf


def exp(x: float) -> float:
    """e^x rounded to binary32: 60 digits are far more than any hard case needs."""
    if math.isnan(x):
        return math.nan
    with mpmath.workdps(60):
        return f32(float(mpmath.exp(x))) if x < 100 else INF


def softmax_block(
    scores: list[float], visible: list[bool], m: float, total: float
) -> tuple[list[float], float, float, float]:
    largest = m
    for score, seen in zip(scores, visible, strict=True):
        if seen:
            largest = math.nan if math.isnan(score) or math.isnan(largest) else max(largest, score)
    alpha = exp(f32(m - largest))
    probabilities = [exp(f32(score - largest)) if seen else 0.0 for score, seen in zip(scores, visible, strict=True)]
    return probabilities, largest, add(mul(total, alpha), sum_fp(probabilities)), alpha


@pytest.mark.parametrize(
    ("keys", "heads", "groups", "tokens", "offset", "window", "dtype"),
    [
        (1, 1, 1, 1, 0, 2**31, Dtype.F32), (37, 2, 3, 2, 20, 2**31, Dtype.F32), (40, 2, 1, 4, 10, 7, Dtype.BF16),
        (33, 1, 2, 3, 256, 2**31, Dtype.F16), (20, 1, 1, 3, -2, 100, Dtype.F32), (64, 1, 1, 2, 2**62, 2**63 - 1, Dtype.F32),
        (20, 1, 1, 2, 5, 0, Dtype.F32), (20, 1, 1, 2, 5, -3, Dtype.F32),
    ],
)  # fmt: skip
def test_vsmx(keys: int, heads: int, groups: int, tokens: int, offset: int, window: int, dtype: Dtype) -> None:
    rng = random.Random(keys)
    core = Core()
    rows = tokens * heads * groups
    core.write(Region.SRAM, 0, pack([f32(rng.gauss(0, 4)) for _ in range(rows * keys)], Dtype.F32))
    state = [
        v
        for row in range(rows)
        for v in ((-FLT_MAX, 0.0, 5.0, 6.0) if row % 2 else (f32(rng.gauss(2, 2)), 3.25, 5.0, 6.0))
    ]
    core.write(Region.SRAM, 0x8000, pack(state, Dtype.F32))
    s = core.td(2, tensor(0, Dtype.F32, keys, groups, heads, tokens))
    p = core.td(1, tensor(0x10000, dtype, keys, groups, heads, tokens))
    ml = core.td(3, tensor(0x8000, Dtype.F32, 4, groups, heads, tokens))
    core.x[5], core.x[6] = offset, window
    scores, before = core.values(s), core.values(ml)
    core.run("vsmx t1, t2, t3, x5, x6")
    after, stored = core.values(ml), core.bits(p)
    for row in {place[:3] for place in scores}:
        visible = [0 <= offset + row[0] - j < window for j in range(keys)]
        want = softmax_block([scores[*row, j] for j in range(keys)], visible, before[*row, 0], before[*row, 1])
        assert all(stored[*row, j] == store_bits(want[0][j], dtype) for j in range(keys))
        assert [same(after[*row, i], w) for i, w in enumerate((*want[1:], 6.0))] == [True] * 4, (row, want[1:])


def test_vsmx_in_place_with_nan_and_infinite_scores() -> None:
    core = Core()
    rows = [[1.0, math.nan, 2.0], [INF, 1.0, 2.0], [-INF, -INF, -INF], [1.0, 2.0, math.nan]]
    core.write(Region.SRAM, 0, b"".join(pack(row, Dtype.F32) for row in rows))
    core.write(Region.SRAM, 0x800, pack([-FLT_MAX, 0.0, 0.0, 0.0] * 4, Dtype.F32))
    s = core.td(1, tensor(0, Dtype.F32, 3, 4))
    ml = core.td(3, tensor(0x800, Dtype.F32, 4, 4))
    core.x[5], core.x[6] = 1, 9
    core.run("vsmx t1, t1, t3, x5, x6")
    got, state = core.bits(s), core.bits(ml)
    nan = 0x7FC00000
    assert [got[0, 0, 0, j] for j in range(3)] == [nan, nan, 0] and state[0, 0, 0, 0] == state[0, 0, 0, 1] == nan
    assert [got[0, 0, 1, j] for j in range(3)] == [nan, 0, 0]
    assert [got[0, 0, 2, j] for j in range(3)] == [0, 0, 0] and state[0, 0, 2, 2] == 0x3F800000
    assert got[0, 0, 3, 2] == 0 and got[0, 0, 3, 1] == 0x3F800000  # a NaN at an invisible key has no effect


def entries(core: Core, base: int, count: int) -> list[tuple[float, int]]:
    return [struct.unpack_from("<fi", core.read(Region.SRAM, base + 8 * i, 8)) for i in range(count)]


def merged(listed: list[tuple[float, int]], row: list[float], first: int, count: int) -> list[tuple[float, int]]:
    candidates = listed + [(value, first + i) for i, value in enumerate(row)]
    usable = [item for item in candidates if not math.isnan(item[0]) and item[0] != -INF]
    best = sorted(usable, key=lambda item: (-item[0], item[1]))[:count]
    return best + [(-INF, -1)] * (count - len(best))


@pytest.mark.parametrize("count", [1, 3, 64])
def test_vtopk_merges_rows(count: int) -> None:
    rng = random.Random(count)
    core = Core()
    core.td(1, tensor(0x8000, Dtype.F32, count, strides=(8,)))
    core.write(Region.SRAM, 0x8000, struct.pack("<fi", -INF, -1) * count)
    listed: list[tuple[float, int]] = []
    for first, length in [(0, 5), (5, 200), (205, 1), (206, 333), (900, 70)]:
        row = [
            f32(rng.choice((rng.gauss(0, 1), float(rng.randint(-2, 2)), 0.0, -0.0, math.nan, -INF)))
            for _ in range(length)
        ]
        core.write(Region.SRAM, 0, pack(row, Dtype.F32))
        core.td(2, tensor(0, Dtype.F32, length))
        core.x[5] = first
        core.run("vtopk t1, t2, x5")
        listed = merged(listed, row, first, count)
        got = entries(core, 0x8000, count)
        assert [(store_bits(v, Dtype.F32), i) for v, i in got] == [(store_bits(v, Dtype.F32), i) for v, i in listed]


def test_vtopk_reads_any_dtype_and_prefers_low_indices() -> None:
    core = Core()
    core.td(1, tensor(0x8000, Dtype.F32, 4, strides=(8,)))
    core.write(Region.SRAM, 0x8000, struct.pack("<fi", -INF, -1) * 4)
    core.write(Region.SRAM, 0, bytes([7, 9, 9, 1, 9, 9, 9]))
    core.td(2, tensor(6, Dtype.I8, 7, strides=(-1,)))
    core.x[5] = 2**32 + 10  # positions wrap to 32 bits
    core.run("vtopk t1, t2, x5")
    assert entries(core, 0x8000, 4) == [(9.0, 10), (9.0, 11), (9.0, 12), (9.0, 14)]


def test_philox_known_answers() -> None:
    """The vectors of the authors' Random123 distribution (kat_vectors, philox4x32 with 10 rounds)."""
    cases = [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ]
    for counter, key, want in cases:
        words = [np.array([int(word, 16)], np.uint64) for word in counter.split()]
        k0, k1 = (int(word, 16) for word in key.split())
        got = philox4x32((words[0], words[1], words[2], words[3]), (k0, k1))
        assert " ".join(f"{int(word[0]):08x}" for word in got) == want


def philox_word(counter: list[int], key: list[int]) -> int:
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(b >> 32) ^ counter[1] ^ key[0], b % 2**32, (a >> 32) ^ counter[3] ^ key[1], a % 2**32]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter[0]


def test_vrng() -> None:
    core = Core()
    target = core.td(1, tensor(0, Dtype.F32, 100))
    core.x[5], core.x[6], core.x[7] = 2**32 - 40, -3, -(2**63) + 12345
    core.run("vrng t1, x5, x6, x7")
    for i in range(100):
        word = philox_word([(2**32 - 40 + i) % 2**32, 2**32 - 3, 0, 0], [12345, 2**31])
        exact = ((word >> 9) + 0.5) * 2.0**-23
        assert 0 < exact < 1 and core.values(target)[0, 0, 0, i] == exact == f32(exact)
