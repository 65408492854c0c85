"""Correctly rounded elementwise functions and conversions of docs/numerics.md sections 1 and 4, on NumPy arrays.

A function is evaluated in binary64; where the binary64 value is too near the middle between two float32 numbers to
decide the rounding, mpmath decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
DOUBT = 2.0**-45
"""Bound on the relative error of a binary64 evaluation: 256 units in the last place, far more than any libm has."""
PRECISION_BITS = 256
CANONICAL_NAN = np.uint32(0x7FC00000)
CANONICAL_NAN_BF16 = np.uint16(0x7FC0)
CANONICAL_NAN_F16 = np.uint16(0x7E00).view(np.float16)


def canonical(x: F32) -> F32:
    """x with every NaN replaced by the canonical quiet NaN."""
    nan = np.isnan(x)
    if not nan.any():
        return x
    return np.where(nan, CANONICAL_NAN, x.view(np.uint32)).view(np.float32)


def bf16_bits(x: F32) -> NDArray[np.uint16]:
    """The bits of x rounded to bfloat16: to nearest even, overflow to infinity, NaN canonical."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = ((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)).astype(np.uint16)
    return np.where(np.isnan(x), CANONICAL_NAN_BF16, rounded)


def bf16_values(bits: NDArray[np.uint16]) -> F32:
    """The float32 values of bfloat16 bits."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def round_bf16(x: F32) -> F32:
    """x rounded to bfloat16, as float32."""
    return bf16_values(bf16_bits(x))


def f16_stored(x: F32) -> NDArray[np.float16]:
    """x rounded to IEEE binary16: to nearest even, overflow to infinity, NaN canonical."""
    with np.errstate(over="ignore"):
        rounded = x.astype(np.float16)
    return np.where(np.isnan(x), CANONICAL_NAN_F16, rounded)


def rounded_to(element: str, x: F32) -> F32:
    """x rounded to f16 or bf16, as float32; f32 as it is."""
    if element == "f32":
        return x
    return round_bf16(x) if element == "bf16" else f16_stored(x).astype(np.float32)


def to_i8(x: F32, lowest: int = -128, highest: int = 127) -> NDArray[np.int8]:
    """Rounded to nearest even, saturated to [lowest, highest]; NaN gives 0."""
    return np.where(np.isnan(x), np.float32(0), np.clip(np.rint(x), lowest, highest)).astype(np.int8)


def maximum(a: F32, b: F32) -> F32:
    """IEEE 754-2019 maximum: NaN if either is NaN, +0 above -0."""
    # The sum of two zeros is -0 only if both are: what the maximum of zeros is, and np.maximum does not promise.
    return np.where((a == 0) & (b == 0), a + b, np.maximum(a, b))


def constant(value: float) -> F32:
    """A scalar operand: binary64 rounded to float32."""
    return np.array(value, np.float32)


def f32_constant(exact: Fraction | float) -> np.float32:
    """The exact value rounded once to float32."""
    value = Fraction(exact)
    if value == 0:
        return np.float32(0)
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - 23, -149)
    rounded = round(magnitude / unit) * unit
    result = math.inf if rounded >= 2**128 else float(rounded)
    return np.float32(math.copysign(result, value))


def _decide(x: float, exact: Callable[[Any], Any]) -> np.float32:
    with mpmath.workprec(PRECISION_BITS):
        return f32_constant(Fraction(*exact(mpmath.mpf(x)).as_integer_ratio()))


def _correctly_rounded(x: F32, approximate: F64, exact: Callable[[Any], Any]) -> F32:
    """f32 of the exact function of x, given its binary64 approximation."""
    low, high = (approximate * (1 - DOUBT)).astype(np.float32), (approximate * (1 + DOUBT)).astype(np.float32)
    doubtful = (low != high) & ~np.isnan(approximate)
    for index in zip(*np.nonzero(doubtful), strict=True):
        high[index] = _decide(float(x[index]), exact)
    return canonical(high)


def exp(x: F32) -> F32:
    return _correctly_rounded(x, np.exp(x.astype(np.float64)), mpmath.exp)


def log(x: F32) -> F32:
    return _correctly_rounded(x, np.log(x.astype(np.float64)), mpmath.log)


def tanh(x: F32) -> F32:
    return _correctly_rounded(x, np.tanh(x.astype(np.float64)), mpmath.tanh)


def _exact_sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def sigmoid(x: F32) -> F32:
    return _correctly_rounded(x, 1 / (1 + np.exp(-x.astype(np.float64))), _exact_sigmoid)


def erf(x: F32) -> F32:
    flat = np.array([math.erf(value) for value in x.ravel().tolist()])
    return _correctly_rounded(x, flat.reshape(x.shape), mpmath.erf)


def _gelu(x: F32) -> F32:
    half: F32 = x * HALF
    bracket: F32 = erf(x * INVERSE_SQRT_2) + ONE
    return half * bracket


def _gelu_tanh(x: F32) -> F32:
    inner = tanh((((x * x) * x) * CUBE + x) * SQRT_2_OVER_PI)
    half: F32 = x * HALF
    bracket: F32 = inner + ONE
    return half * bracket


def _softplus(x: F32) -> F32:
    e = exp(np.abs(x) * MINUS_ONE)
    w: F32 = e + ONE
    v: F32 = w - ONE
    again: F32 = v + ONE
    rest: F32 = e - v
    tail: F32 = log(again) + rest
    return maximum(x, constant(0)) + tail


MINUS_ONE = constant(-1)
ONE, HALF = constant(1), constant(0.5)
INVERSE_SQRT_2 = constant(math.sqrt(0.5))
SQRT_2_OVER_PI = constant(math.sqrt(2 / math.pi))
CUBE = constant(0.044715)
QUICK = constant(1.702)
ACTIVATIONS: dict[str, Callable[[F32], F32]] = {
    "silu": lambda x: x * sigmoid(x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "quick_gelu": lambda x: x * sigmoid(x * QUICK),
    "relu": lambda x: maximum(x, constant(0)),
    "sigmoid": sigmoid,
    "tanh": tanh,
    "softplus": _softplus,
}
