"""Kernels of vred, vsmx, vtopk and vrng against the reference: every function, dtypes, layouts, values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isa.descriptor import Descriptor
from isa.spec import ELEMENT_BITS, VPU_RESULTS, VPU_SOURCES, VRED, Dtype, Region
from tests.property.kernel_judge import instruction, judge
from tests.property.kernel_operands import (
    SLOT_BYTES,
    contents,
    group,
    large_extents,
    layouts,
    packed_extents,
    placed,
    small_extents,
    usual_dtypes,
)

seeds, parts = st.integers(0, 9), st.integers(1, 3)
sources = st.one_of(usual_dtypes, st.sampled_from(VPU_SOURCES))
targets = st.one_of(usual_dtypes, st.sampled_from(VPU_RESULTS))
QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much]
EXTREMES = [0, 1, -1, 31, 2**31, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63), 2**62 + 5]
registers = st.one_of(st.integers(-300, 300), st.sampled_from(EXTREMES), st.integers(-(2**63), 2**63 - 1))


def extents_of(dtype: Dtype, is_large: bool) -> st.SearchStrategy[tuple[int, int, int, int]]:
    return packed_extents if dtype == Dtype.I4 else large_extents if is_large else small_extents


@st.composite
def reductions(draw: st.DrawFn, is_large: bool) -> Any:
    dtype = draw(sources)
    extents = draw(extents_of(dtype, is_large))
    data = placed(1, dtype, extents, draw(layouts(dtype, extents, broadcasts=True)), draw(group(dtype, extents[0])))
    result = draw(targets.filter(lambda kind: kind != Dtype.I4))
    narrow = (1, *extents[1:])
    target = placed(0, result, narrow, draw(layouts(result, narrow, broadcasts=False)), 0)
    if extents[0] == 1 and ELEMENT_BITS[dtype] == ELEMENT_BITS[result] and draw(st.booleans()):
        data = Descriptor(target.base, Region.SRAM, dtype, extents, target.strides)
    return draw(st.sampled_from(VRED)), {"ta": target, "tb": data}, draw(seeds), draw(parts)


def check_reduction(case: Any) -> None:
    function, operands, seed, count = case
    judge(instruction("vred", function), operands, contents(seed), parts=count)


@st.composite
def softmaxes(draw: st.DrawFn, is_large: bool) -> Any:
    p, s = draw(targets), draw(st.one_of(st.just(Dtype.F32), sources))
    keys = st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 40, 64, 100, 255, 256])
    if Dtype.I4 in (p, s):
        keys = st.sampled_from([32, 64, 192, 256])
    rows = (
        st.tuples(keys, st.integers(1, 9), st.integers(1, 4), st.just(8))
        if is_large
        else st.tuples(keys, st.integers(1, 3), st.integers(1, 2), st.integers(1, 4))
    )
    extents = draw(rows)
    target = placed(0, p, extents, draw(layouts(p, extents, broadcasts=False)), draw(group(p, extents[0])))
    scores = placed(1, s, extents, draw(layouts(s, extents, broadcasts=True)), draw(group(s, extents[0])))
    if ELEMENT_BITS[p] == ELEMENT_BITS[s] and draw(st.integers(0, 2)) == 0:
        scores = Descriptor(target.base, Region.SRAM, s, extents, target.strides, target.glog2)
    words = (4, *extents[1:])
    state = placed(2, Dtype.F32, words, draw(layouts(Dtype.F32, words, broadcasts=False)), 0)
    near = st.integers(-5, extents[0] + 5)
    x = (0, draw(st.one_of(near, registers)), draw(st.one_of(st.just(2**31), near, registers)))
    return {"ta": target, "tb": scores, "tc": state}, draw(seeds), x, draw(parts)


def check_softmax(case: Any) -> None:
    operands, seed, x, count = case
    judge(instruction("vsmx", None), operands, contents(seed), x, count)


@st.composite
def selections(draw: st.DrawFn) -> Any:
    """Rows of few different values have many ties; a list in memory may be in any order, and have empty entries."""
    dtype = draw(sources)
    size = draw(st.sampled_from([64, 192, 1024])) if dtype == Dtype.I4 else draw(st.integers(1, 200) | st.just(3000))
    extents = (size, 1, 1, 1)
    row = placed(1, dtype, extents, draw(layouts(dtype, extents, broadcasts=True)), draw(group(dtype, size)))
    entries = placed(0, Dtype.F32, (draw(st.integers(1, 64)), 1, 1, 1), (8, 0, 0, 0), 0)
    memory = np.frombuffer(contents(draw(seeds)), np.uint32).copy()
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    count = entries.extents[0]
    kind = draw(st.integers(0, 3))
    values = rng.choice(np.array([0.0, -0.0, 1.0, -1.0, np.nan, -np.inf, np.inf, 2.0], np.float32), count)
    if kind == 0:
        memory[: 2 * count : 2] = values.view(np.uint32)
    elif kind == 1:
        memory[: 2 * count] = np.tile(np.array([0xFF800000, 0xFFFFFFFF], np.uint32), count)
    if kind < 2 and draw(st.booleans()):
        words = memory[SLOT_BYTES // 4 : SLOT_BYTES // 2]
        words[:] = rng.choice(np.array([0, 0x80000000, 0x3F800000, 0x7FC00000, 0xFF800000], np.uint32), len(words))
    return {"ta": entries, "tb": row}, memory.tobytes(), (0, draw(registers), 0)


def check_selection(case: Any) -> None:
    operands, memory, x = case
    judge(instruction("vtopk", None), operands, memory, x)


@st.composite
def random_numbers(draw: st.DrawFn) -> Any:
    extents = (draw(st.one_of(st.integers(1, 100), st.sampled_from([256, 8192, 9001]))), 1, 1, 1)
    target = placed(0, Dtype.F32, extents, (draw(st.sampled_from([4, 4, 8, -4, -12])), 0, 0, 0), 0)
    return {"ta": target}, (draw(registers), draw(registers), draw(registers)), draw(parts)


def check_random(case: Any) -> None:
    operands, x, count = case
    judge(instruction("vrng", None), operands, b"", x, count)


CHECKS = {
    "vred": (reductions(is_large=False), check_reduction),
    "vred, large": (reductions(is_large=True), check_reduction),
    "vsmx": (softmaxes(is_large=False), check_softmax),
    "vsmx, large": (softmaxes(is_large=True), check_softmax),
    "vtopk": (selections(), check_selection),
    "vrng": (random_numbers(), check_random),
}


@pytest.mark.parametrize("name", CHECKS)
def test_any_operands(name: str) -> None:
    strategy, check = CHECKS[name]
    settings(max_examples=40 if "large" in name else 120, deadline=None, suppress_health_check=QUIET)(
        given(strategy)(check)
    )()


@pytest.mark.long
@pytest.mark.parametrize("name", CHECKS)
def test_many_operands(name: str) -> None:
    strategy, check = CHECKS[name]
    settings(max_examples=5000, deadline=None, suppress_health_check=QUIET)(given(strategy)(check))()
