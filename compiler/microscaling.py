"""Microscaling (MX) formats: the values of codes, and the blocks of a matrix. docs/numerics.md sections 1 and 8.

OCP Microscaling Formats (MX) Specification v1.0. A code is sign, exponent, mantissa, the mantissa in the low bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint8]
F32 = NDArray[np.float32]
BLOCK = 32
"""Elements that share a scale."""
SCALE_BIAS = 127
NAN_SCALE = 255


@dataclass(frozen=True)
class MinifloatFormat:
    """largest_code: of the largest number, without its sign; codes above it are NaN."""

    exponent_bits: int
    mantissa_bits: int
    bias: int
    largest_code: int

    @property
    def sign(self) -> int:
        """The code of -0."""
        return 1 << self.exponent_bits + self.mantissa_bits

    @cached_property
    def values(self) -> F32:
        """Of every code, ascending."""
        positive = np.array([self._value(code) for code in range(self.sign)], np.float32)
        return np.concatenate([positive, -positive])

    @property
    def largest_exponent(self) -> int:
        """emax: floor(log2) of the largest number."""
        return (self.largest_code >> self.mantissa_bits) - self.bias

    def _value(self, code: int) -> float:
        if code > self.largest_code:
            return float("nan")
        exponent, mantissa = code >> self.mantissa_bits, code & (1 << self.mantissa_bits) - 1
        hidden = 1 << self.mantissa_bits if exponent else 0
        return float(hidden + mantissa) * 2.0 ** (max(exponent, 1) - self.bias - self.mantissa_bits)

    def codes_of(self, values: F32) -> Codes:
        """The codes of finite values, rounded to nearest even, limited to the largest number; the sign of zeros stays."""
        size = np.abs(values)
        lowest = 1 - self.bias
        exponent = np.where(size == 0, lowest, np.maximum(np.frexp(size)[1] - 1, lowest))
        steps = np.rint(np.ldexp(size, self.mantissa_bits - exponent)).astype(np.int32)
        # A mantissa that is rounded up to 2 ^ (bits + 1) carries into the exponent by the addition; subnormals have no hidden bit.
        code = steps + (exponent - lowest) * (1 << self.mantissa_bits)
        return (np.minimum(code, self.largest_code) | np.where(np.signbit(values), self.sign, 0)).astype(np.uint8)


MINIFLOATS = {
    "e2m1": MinifloatFormat(exponent_bits=2, mantissa_bits=1, bias=1, largest_code=0b111),
    "e4m3": MinifloatFormat(exponent_bits=4, mantissa_bits=3, bias=7, largest_code=0b1111110),
}


def scale_values(scales: Codes) -> F32:
    """2^(e - 127), NaN for 255."""
    powers = np.ldexp(np.float32(1), np.minimum(scales, NAN_SCALE - 1).astype(np.int32) - SCALE_BIAS)
    return np.where(scales == NAN_SCALE, np.float32(np.nan), powers).astype(np.float32)


def scale_codes(powers: F32) -> Codes:
    """The inverse of scale_values, of powers of two."""
    return (np.frexp(powers)[1] - 1 + SCALE_BIAS).astype(np.uint8)


def shared_scales(blocks: F32, element: str) -> Codes:
    """The scales [..] of blocks [.., 32] of finite values."""
    largest = np.abs(blocks).max(axis=-1)
    exponent = np.maximum(np.frexp(largest)[1] - 1 - MINIFLOATS[element].largest_exponent, -SCALE_BIAS)
    return np.where(largest == 0, SCALE_BIAS, exponent + SCALE_BIAS).astype(np.uint8)
