"""Operands of VPU instructions in every layout, and hostile values.

Layouts are dense, permuted, with gaps, backwards, broadcast, or in the place of a source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np

from isa.descriptor import Descriptor
from isa.spec import ELEMENT_BITS, TD_OPERANDS, VPU_RESULTS, VPU_SOURCES, Dtype, Region

SLOT_BYTES = 1 << 18
OPERANDS = 4
SEEDS = 10
"""Different contents of memory."""
USUAL = (Dtype.F32, Dtype.F32, Dtype.F32, Dtype.BF16, Dtype.F16, Dtype.I8)
LARGE = ((8192, 1, 1, 1), (8195, 1, 1, 1), (24, 19, 20, 1), (1, 8200, 1, 1), (100, 7, 3, 4), (3, 5, 600, 1))
Extents = tuple[int, int, int, int]

_NUMBERS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1.5, -2.5, 3.5, 7.5, 8.0, -8.5, 126.5, 127.5, -128.5, 65504.0, 65519.9,
    65520.0, 1e-7, 3 * 2.0**-26, 2.0**-24, 2.0**-25, 2.0**-126, 2.0**-149, -(2.0**-149), 2.0**31, -(2.0**31),
    2147483520.0, 3.4028235e38, -3.4028235e38, 3.396e38, 88.7, -87.4, -104.0, 16.6, -17.3, 0.34657, 1e-3,
    -1e-4, math.inf, -math.inf,
)  # fmt: skip
_PATTERNS = (0x7FC00000, 0xFFC00001, 0x7F800001, 0xFFBFFFFF, 0x00000001, 0x807FFFFF, 0x3F7FFFFF, 0x3F800001, 0x7F7FFFFF)
SPECIAL = np.concatenate([np.array(_NUMBERS, np.float32).view(np.uint32), np.array(_PATTERNS, np.uint32)])
BORDERS = np.array([0x7FFFFFFF, 0x80000000, 0x7FFFFFBF, 0x7FFFFFC0, 0x01000001, 0x7E007C01, 0x7FC0FF80], np.uint32)


@cache
def contents(seed: int, size_bytes: int = OPERANDS * SLOT_BYTES) -> bytes:
    """32-bit words: special numbers, usual numbers, and any bits."""
    rng = np.random.default_rng(seed)
    count = size_bytes // 4
    usual = (rng.normal(0, 4, count) * rng.choice([1, 1, 20], count)).astype(np.float32).view(np.uint32)
    words = np.where(rng.random(count) < 0.8, usual, rng.choice(np.concatenate([SPECIAL, BORDERS]), count))
    noise = rng.integers(0, 1 << 32, count, np.uint32)
    words = np.where(rng.random(count) < rng.choice([0, 0.05, 0.7]), noise, words)
    return words.astype("<u4").tobytes()


def _nested(order: Sequence[int], extents: Extents, inner: int, gap: int) -> Extents:
    """Strides of dimensions that lie inside each other in this order, `inner` bytes from one to the next in the first of them."""
    strides, reach = [0, 0, 0, 0], inner
    for dimension in order:
        strides[dimension] = reach
        reach = reach * extents[dimension] + gap
        gap = 0
    return strides[0], strides[1], strides[2], strides[3]


def layout(rng: Random, dtype: Dtype, extents: Extents, broadcasts: bool) -> Extents:
    """Strides of any kind, without two elements in one place unless it broadcasts."""
    size = ELEMENT_BITS[dtype] // 8
    gap = rng.choice((0, 0, 0, max(1, size), 4 * max(1, size)))
    if size:
        order = rng.choice([(0, 1, 2, 3), (0, 1, 2, 3), rng.sample(range(4), 4)])
        strides = list(_nested(order, extents, size * rng.choice((1, 1, 1, 2)), gap))
    else:
        row = extents[0] // 2 + gap
        strides = [0, row, row * extents[1], row * extents[1] * extents[2]]
    for dimension in range(4):
        turn = rng.randrange(16)
        if turn == 0 and (size or dimension):
            strides[dimension] = -strides[dimension]
        elif turn < 5 and broadcasts and (size or dimension):
            strides[dimension] = 0
    return strides[0], strides[1], strides[2], strides[3]


def placed(slot: int, dtype: Dtype, extents: Extents, strides: Extents, glog2: int = 0) -> Descriptor:
    """In a slot of its own, whichever way the strides lead."""
    d = Descriptor(0, Region.SRAM, dtype, extents, strides, glog2)
    low, high = d.interval()
    assert high - low <= SLOT_BYTES
    return Descriptor(slot * SLOT_BYTES - low, Region.SRAM, dtype, extents, strides, glog2)


def tensor(rng: Random, slot: int, dtype: Dtype, extents: Extents, broadcasts: bool) -> Descriptor:
    """Of any layout."""
    return placed(slot, dtype, extents, layout(rng, dtype, extents, broadcasts), group(rng, dtype, extents[0]))


def any_extents(rng: Random, dtypes: Sequence[Dtype], is_large: bool) -> Extents:
    """Rows of whole groups if an operand is of nibbles; `is_large`: worth dividing."""
    if Dtype.I4 in dtypes:
        return rng.choice((64, 128, 192, 320, 1024)), rng.randint(1, 4), rng.randint(1, 2), rng.randint(1, 2)
    if is_large:
        return rng.choice(LARGE)
    e0 = rng.choice((rng.randint(1, 70), rng.randint(1, 70), 96, 255, 513))
    return e0, rng.randint(1, 5), rng.randint(1, 3), rng.randint(1, 3)


def group(rng: Random, dtype: Dtype, extent: int) -> int:
    """glog2 of a tensor."""
    if dtype != Dtype.I4:
        return 0
    return rng.choice([log2 for log2 in range(5, 11) if extent % (1 << log2) == 0])


def any_dtype(rng: Random, dtypes: Sequence[Dtype]) -> Dtype:
    """Often a usual one."""
    return rng.choice((Dtype.F32, rng.choice(USUAL), rng.choice(dtypes)))


def elementwise(rng: Random, sources: int, is_large: bool = False) -> dict[str, Descriptor]:
    """ta and `sources` of tb, tc, td of equal extents. Sometimes the target is where a source is."""
    dtypes = [any_dtype(rng, VPU_RESULTS), *(any_dtype(rng, VPU_SOURCES) for _ in range(sources))]
    extents = any_extents(rng, dtypes, is_large)
    made = {
        name: tensor(rng, place, dtype, extents, broadcasts=place > 0)
        for place, (name, dtype) in enumerate(zip(TD_OPERANDS, dtypes, strict=False))
    }
    target = made["ta"]
    alike = [name for name, d in made.items() if ELEMENT_BITS[d.dtype] == ELEMENT_BITS[target.dtype] and name != "ta"]
    if alike and rng.randrange(4) == 0:
        name = rng.choice(alike)
        made[name] = replace(target, dtype=made[name].dtype)
    return made
