"""Conversions and correctly rounded functions of the slmq interpreter on arbitrary float32 bits."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.interpreters import slmq_functions as functions
from compiler.interpreters import slmq_kernels as kernels

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
words = st.integers(0, 2**32 - 1)
EXACT = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "erf": mpmath.erf,
}


@pytest.fixture(autouse=True, scope="module")
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("name", EXACT)
@given(x=floats)
@settings(deadline=None)
def test_no_other_float32_is_nearer(name, x):
    x = abs(x) + 2**-149 if name == "log" else x
    x = float(np.float32(x))
    found = getattr(functions, name)(np.array([x], np.float32))[0]
    neighbours = [np.nextafter(found, np.float32(end)) for end in (-np.inf, np.inf)]
    with mpmath.workprec(800):
        exact = EXACT[name](mpmath.mpf(x))
        limit = mpmath.mpf(2) ** 128
        value, *others = (
            mpmath.mpf(float(v)) if np.isfinite(v) else math.copysign(1, v) * limit for v in (found, *neighbours)
        )
        assert all(abs(value - exact) <= abs(other - exact) for other in others if abs(other) <= limit)


@given(word=words)
def test_bf16_rounding_is_to_the_nearest(word):
    x = np.array([word], np.uint32).view(np.float32)
    bits = int(functions.bf16_bits(x)[0])
    if np.isnan(x[0]):
        assert bits == 0x7FC0
        return
    assert bits >> 15 == word >> 31
    if np.isinf(x[0]):
        assert bits & 0x7FFF == 0x7F80
        return

    def value(magnitude):  # 0x7F80 stands for 2^128 here
        return Fraction(2) ** 128 if magnitude == 0x7F80 else Fraction(bf16_float(magnitude))

    magnitude, exact = bits & 0x7FFF, abs(Fraction(float(x[0])))
    here = abs(value(magnitude) - exact)
    for other in (magnitude - 1, magnitude + 1):
        if 0 <= other <= 0x7F80:
            there = abs(value(other) - exact)
            assert here < there or (here == there and magnitude % 2 == 0)


def bf16_float(magnitude):
    return float(np.array([magnitude << 16], np.uint32).view(np.float32)[0])


@given(words=st.lists(words, min_size=1, max_size=40))
def test_quantised_rows_are_nearest_integers(words):
    x = np.array(words, np.uint32).view(np.float32)
    x = np.where(np.isfinite(x), x, np.float32(1))
    q, scale = kernels.quantize_rows(x)
    largest = max(abs(x))
    size = max(largest, np.float32(2.0**-119))
    assert scale[0] == size * np.float32(1 / 127)
    for value, found in zip(x, q, strict=True):
        assert found == round(Fraction(float(value * (np.float32(127) / size))))
        exact = Fraction(float(value)) / Fraction(float(scale[0]))
        assert abs(found) <= 127 and abs(found - exact) <= Fraction(1, 2) + Fraction(1, 2**15), (
            "saturation is not needed"
        )


@given(
    terms=st.lists(floats, min_size=1, max_size=100),
    split=st.integers(0, 3),
)
def test_a_sum_may_be_split_at_multiples_of_32(terms, split):
    p = np.array(terms, np.float32)[:, None]
    ones = np.ones_like(p)
    whole = kernels.matmul_fp(p, ones)
    middle = min(32 * split, len(p))
    first = kernels.matmul_fp(p[:middle], ones[:middle]) if middle else None
    second = kernels.matmul_fp(p[middle:], ones[middle:], first) if middle < len(p) else first
    np.testing.assert_array_equal(
        functions.canonical(second).view(np.uint32), functions.canonical(whole).view(np.uint32)
    )
    summed = kernels.sum_fp(p[:, 0])
    np.testing.assert_array_equal(
        functions.canonical(summed).view(np.uint32), functions.canonical(whole[0]).view(np.uint32)
    )
