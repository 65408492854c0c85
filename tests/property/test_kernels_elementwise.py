"""Kernels of vbin, vmad and vun against the reference: every function, dtypes, layouts, values."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isa.spec import VBIN, VMAD, VUN
from tests.property.kernel_judge import instruction, judge
from tests.property.kernel_operands import SPECIAL, contents, elementwise

FUNCTIONS = {"vbin": VBIN, "vmad": VMAD, "vun": VUN}
SOURCES = {"vbin": 2, "vmad": 3, "vun": 1}
scalars = st.one_of(st.none(), st.sampled_from([int(bits) for bits in SPECIAL]), st.integers(0, 2**32 - 1))


@st.composite
def cases(draw: st.DrawFn, is_large: bool) -> tuple:
    mnemonic = draw(st.sampled_from(sorted(FUNCTIONS)))
    function = draw(st.sampled_from(FUNCTIONS[mnemonic]))
    scalar = draw(scalars)
    operands = draw(elementwise(SOURCES[mnemonic], is_large))
    if scalar is not None:
        operands.pop("tb" if mnemonic == "vun" else "tc")
    return mnemonic, function, scalar, operands, draw(st.integers(0, 9)), draw(st.integers(1, 3))


def check(case: tuple) -> None:
    mnemonic, function, scalar, operands, seed, parts = case
    judge(instruction(mnemonic, function, scalar), operands, contents(seed), parts=parts)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(is_large=False))
def test_any_operands(case: tuple) -> None:
    check(case)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(is_large=True))
def test_large_operands_in_parts(case: tuple) -> None:
    check(case)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(cases(is_large=False), cases(is_large=False), cases(is_large=True)))
def test_many_operands(case: tuple) -> None:
    check(case)
