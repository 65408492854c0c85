"""Kernels of vred, vsmx, vtopk and vrng against the reference: every function, dtypes, layouts, values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from isa.spec import ELEMENT_BITS, VPU_RESULTS, VPU_SOURCES, VRED, Dtype
from tests.property.kernel_judge import instruction, judge
from tests.property.kernel_operands import (
    SEEDS,
    SLOT_BYTES,
    any_dtype,
    any_extents,
    contents,
    group,
    layout,
    placed,
    tensor,
)

EXTREMES = (0, 1, -1, 31, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**62 + 5)
KEYS = (1, 2, 15, 16, 17, 31, 32, 33, 40, 64, 100, 255, 256)
PACKED_KEYS = (32, 64, 192, 256)
FEW_VALUES = np.array(
    [0, 0x80000000, 0x3F800000, 0xBF800000, 0x40000000, 0x7FC00000, 0x7F800000, 0xFF800000], np.uint32
)
EMPTY = np.array([0xFF800000, 0xFFFFFFFF], np.uint32)


def register(rng: Random) -> int:
    """What an x-register may hold."""
    return rng.choice((rng.randint(-300, 300), rng.choice(EXTREMES), rng.randint(-(2**63), 2**63 - 1)))


def check_reduction(rng: Random, is_large: bool) -> str:
    dtype = any_dtype(rng, VPU_SOURCES)
    result = any_dtype(rng, [d for d in VPU_RESULTS if d != Dtype.I4])
    extents = any_extents(rng, (dtype,), is_large)
    data = tensor(rng, 1, dtype, extents, broadcasts=True)
    target = tensor(rng, 0, result, (1, *extents[1:]), broadcasts=False)
    if extents[0] == 1 and ELEMENT_BITS[dtype] == ELEMENT_BITS[result] and rng.randrange(2):
        data = replace(target, dtype=dtype)
    d = instruction("vred", rng.choice(VRED))
    return judge(d, {"ta": target, "tb": data}, contents(rng.randrange(SEEDS)), parts=rng.randint(1, 3)).name


def check_softmax(rng: Random, is_large: bool) -> str:
    p, s = any_dtype(rng, VPU_RESULTS), any_dtype(rng, VPU_SOURCES)
    keys = rng.choice(PACKED_KEYS if Dtype.I4 in (p, s) else KEYS)
    e1, e2, e3 = (rng.randint(1, most) for most in ((9, 4, 2) if is_large else (3, 2, 4)))
    extents = (keys, e1, e2, e3)
    target, scores = tensor(rng, 0, p, extents, broadcasts=False), tensor(rng, 1, s, extents, broadcasts=True)
    if ELEMENT_BITS[p] == ELEMENT_BITS[s] and rng.randrange(3) == 0:
        scores = replace(target, dtype=s)
    operands = {"ta": target, "tb": scores, "tc": tensor(rng, 2, Dtype.F32, (4, e1, e2, e3), broadcasts=False)}
    near = rng.randint(-5, keys + 5)
    x = (
        0,
        rng.choice((near, near, register(rng))),
        rng.choice((2**31, 2**31, rng.randint(-5, keys + 5), register(rng))),
    )
    return judge(instruction("vsmx", None), operands, contents(rng.randrange(SEEDS)), x, rng.randint(1, 3)).name


def check_selection(rng: Random, is_large: bool) -> str:
    """Rows of few different values have many ties; a list in memory may be in any order, and have empty entries."""
    dtype = any_dtype(rng, VPU_SOURCES)
    sizes = (64, 192, 1024) if dtype == Dtype.I4 else (rng.randint(1, 70), rng.randint(1, 200), 3000)
    extents = (10_000 if is_large and dtype != Dtype.I4 else rng.choice(sizes), 1, 1, 1)
    row = placed(1, dtype, extents, layout(rng, dtype, extents, broadcasts=True), group(rng, dtype, extents[0]))
    count = rng.randint(1, 64)
    memory = np.frombuffer(contents(rng.randrange(SEEDS)), np.uint32).copy()
    drawn = np.random.default_rng(rng.getrandbits(32))
    entries = memory[: 2 * count].reshape(-1, 2)
    kind = rng.randrange(4)
    if kind == 0:
        entries[:, 0] = drawn.choice(FEW_VALUES, count)
        entries[:, 1] = drawn.integers(0, 8, count)
    elif kind == 1:
        entries[rng.randint(0, count) :] = EMPTY
    if rng.randrange(2):
        words = memory[SLOT_BYTES // 4 : SLOT_BYTES // 2]
        words[:] = drawn.choice(FEW_VALUES, len(words))
    first = rng.choice((0, 2**31 - 40, register(rng)))
    operands = {"ta": placed(0, Dtype.F32, (count, 1, 1, 1), (8, 0, 0, 0)), "tb": row}
    return judge(instruction("vtopk", None), operands, memory.tobytes(), (0, first, 0)).name


def check_random(rng: Random, is_large: bool) -> str:
    extents = (rng.choice((8192, 9001)) if is_large else rng.choice((rng.randint(1, 100), 256, 1000)), 1, 1, 1)
    target = placed(0, Dtype.F32, extents, (rng.choice((4, 4, 8, -4, -12)), 0, 0, 0))
    x = (register(rng), register(rng), register(rng))
    return judge(instruction("vrng", None), {"ta": target}, b"", x, rng.randint(1, 3)).name


CHECKS: dict[str, tuple[Callable[[Random, bool], str], set[str]]] = {
    "vred": (check_reduction, {f"reduce.{function}.F32" for function in VRED} | {"reduce.sum.I8", "staged.vred"}),
    "vsmx": (check_softmax, {"softmax.F32", "softmax.BF16", "softmax.F16", "staged.vsmx"}),
    "vtopk": (check_selection, {"topk.F32", "staged.vtopk"}),
    "vrng": (check_random, {"random"}),
}


@pytest.mark.parametrize("name", CHECKS)
def test_any_operands(name: str) -> None:
    check, kernels = CHECKS[name]
    assert {check(Random(seed), False) for seed in range(400)} == kernels


@pytest.mark.parametrize("name", CHECKS)
def test_large_operands_in_parts(name: str) -> None:
    for seed in range(1000, 1040):
        CHECKS[name][0](Random(seed), True)


@pytest.mark.long
@pytest.mark.parametrize("name", CHECKS)
def test_many_operands(name: str) -> None:
    for seed in range(10_000, 30_000):
        CHECKS[name][0](Random(seed), seed % 10 == 0)
