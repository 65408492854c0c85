"""Microscaling blocks: the numbers of the element types, and what values become. docs/numerics.md sections 1 and 8.

Written from the formulas alone: the packer has its own (compiler/microscaling.py). Elements are float16, which holds them exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.slmq_functions import F32

F16 = NDArray[np.float16]
GROUP = 32
WIDTHS = {"e2m1": (2, 1, 1), "e4m3": (4, 3, 7)}
"""Bits of the exponent, bits of the mantissa, bias."""
NUMBERS = {"e2m1": 8, "e4m3": 127}
"""Codes without a sign that are numbers; emax is the exponent of the last."""


def numbers_of(element: str) -> F16:
    """The numbers that are not negative, ascending: the position of each is its code."""
    _, mantissa_bits, bias = WIDTHS[element]
    found: list[float] = []
    for code in range(NUMBERS[element]):
        exponent, mantissa = divmod(code, 2**mantissa_bits)
        fraction = mantissa / 2**mantissa_bits
        found.append((1 + fraction) * 2.0 ** (exponent - bias) if exponent else fraction * 2.0 ** (1 - bias))
    return np.array(found, np.float16)


def elements_of(codes: NDArray[np.uint8], element: str) -> F16:
    """What stored codes stand for."""
    exponent_bits, mantissa_bits, _ = WIDTHS[element]
    sign = 2 ** (exponent_bits + mantissa_bits)
    positive = np.full(sign, np.nan, np.float16)
    positive[: NUMBERS[element]] = numbers_of(element)
    return np.concatenate([positive, -positive])[codes]


def scales_of(codes: NDArray[np.uint8]) -> F32:
    """Of e8m0 codes."""
    exact = np.where(codes == 255, np.nan, 2.0 ** (codes.astype(np.float64) - 127))
    return exact.astype(np.float32)


def microscaled_rows(weight: F32, element: str) -> tuple[F16, F32]:
    """Elements [N, K] and scales [N, K / 32] of finite values."""
    blocks = weight.reshape(len(weight), -1, GROUP)
    largest = np.abs(blocks).max(axis=2).astype(np.float64)
    emax = np.floor(np.log2(float(numbers_of(element)[-1])))
    with np.errstate(divide="ignore"):
        exponent = np.maximum(np.floor(np.log2(largest)) - emax, -127)
    scales = np.where(largest == 0, 1, 2.0**exponent).astype(np.float32)
    return nearest(blocks / scales[..., None], element).reshape(weight.shape), scales


def nearest(values: F32, element: str) -> F16:
    """The nearest number of the type: by the middles between neighbours, of which an even code owns those on both sides."""
    numbers = numbers_of(element)
    middles = (numbers[1:].astype(np.float32) + numbers[:-1].astype(np.float32)) / 2
    size = np.abs(values)
    below = np.searchsorted(middles, size, side="left")
    on_middle = size == middles[np.minimum(below, len(middles) - 1)]
    code = below + (on_middle & (below % 2 == 1))
    return np.copysign(numbers[code], values.astype(np.float16))
