"""exp, log, sigmoid, tanh and erf of binary32 arrays, correctly rounded (docs/numerics.md, section 4; docs/transcendentals.md).

Each function is evaluated in binary64 with + - * / and exact operations on bit patterns only, so the result does not depend on the C
library, the processor or the NumPy version. The relative error of that value is below ERROR_BOUND; where both ends of the error
interval round to the same binary32 number the result is proved. The few inputs for which they do not were found by a sweep over all
2^32 inputs (tables/make_transcendental.py); those that a plain rounding would get wrong are listed in tables/transcendental.json.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

ERROR_BOUND = (
    2.0**-49
)  # relative, of every binary64 evaluation below; docs/transcendentals.md derives 2^-49.9 or better
CANONICAL_NAN = np.uint32(0x7FC00000).view(np.float32)

# ln 2 in two parts. The high part has 41 significant bits, so its product with an exponent (|n| <= 2^8) is exact.
_LN2_HIGH = float.fromhex("0x1.62e42fefa2p-1")
_LN2_LOW = float.fromhex("0x1.9ef35793c7673p-41")
_INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
_SQRT_HALF_BITS = 0x3FE6A09E00000000  # binary64 pattern just below sqrt(1/2)
_EXPM1_TERMS = tuple(1.0 / math.factorial(k) for k in range(2, 14))
_ATANH_TERMS = tuple(2.0 / k for k in range(3, 24, 2))
_ERF_CELLS_PER_UNIT = 16
_ERF_LIMIT = 4.0  # erf(4) is nearer to 1 than half an ulp


class Tables(NamedTuple):
    """The committed data: Taylor coefficients [term, cell] of erf, and per function sorted input and output patterns (uint32)."""

    erf: F64
    exceptions: dict[str, tuple[NDArray[np.uint32], NDArray[np.uint32]]]


@cache
def tables() -> Tables:
    """Reads tables/transcendental.json once."""
    text = resources.files("simulator").joinpath("tables/transcendental.json").read_text()
    data = cast(dict[str, Any], json.loads(text))
    rows: list[list[str]] = data["erf_coefficients"]
    pairs: dict[str, list[list[str]]] = data["exceptions"]
    exceptions = {name: _columns(entries) for name, entries in pairs.items()}
    return Tables(np.array([[float.fromhex(value) for value in row] for row in rows]), exceptions)


def _columns(entries: list[list[str]]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    inputs = np.array([int(entry[0], 16) for entry in entries], np.uint32)
    outputs = np.array([int(entry[1], 16) for entry in entries], np.uint32)
    return inputs, outputs


def _horner(z: F64, coefficients: tuple[float, ...]) -> F64:
    """coefficients[0] + z * (coefficients[1] + ...)."""
    total = z * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= z
    total += coefficients[0]
    return total


def _reduce(x: F64) -> tuple[F64, F64]:
    """x = n ln 2 + r with |r| <= 0.3466: returns 2^n and expm1(r). |x| <= 128."""
    n = np.rint(x * _INVERSE_LN2)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    with np.errstate(invalid="ignore"):  # a NaN gives any power; the product below is NaN in any case
        power = ((n.astype(np.int64) + 1023) << 52).view(np.float64)
    tail = _horner(r, _EXPM1_TERMS)
    tail *= r * r
    tail += r
    return power, tail


def _exp64(x: F64) -> F64:
    power, tail = _reduce(x)
    tail += 1.0
    tail *= power
    return tail


def exp64(x: F32) -> F64:
    """e^x in binary64; clamped where the binary32 result is 0 or infinite anyway."""
    return _exp64(np.clip(x.astype(np.float64), -110.0, 100.0))


def sigmoid64(x: F32) -> F64:
    """1 / (1 + e^-x) in binary64; clamped where the binary32 result is 0 or 1 anyway."""
    total = _exp64(np.clip(-x.astype(np.float64), -110.0, 110.0))
    total += 1.0
    return 1.0 / total


def tanh64(x: F32) -> F64:
    """E / (E + 2) with E = expm1(2 |x|), in binary64; clamped where the binary32 result is 1 anyway."""
    power, tail = _reduce(np.minimum(np.abs(x.astype(np.float64)), 20.0) * 2.0)
    tail *= power
    tail += power - 1.0
    return np.copysign(tail / (tail + 2.0), x)


def erf64(x: F32) -> F64:
    """The Taylor polynomial about the nearest multiple of 1/16, in binary64; clamped where the binary32 result is 1 anyway."""
    magnitude = np.minimum(np.abs(x.astype(np.float64)), _ERF_LIMIT)
    magnitude[np.isnan(magnitude)] = 0.0
    nearest = np.rint(magnitude * _ERF_CELLS_PER_UNIT)
    cell = nearest.astype(np.intp)
    h = magnitude - nearest * (1.0 / _ERF_CELLS_PER_UNIT)
    coefficients = tables().erf
    total = coefficients[-1][cell]
    for row in coefficients[-2::-1]:
        total *= h
        total += row[cell]
    return np.where(np.isnan(x), np.nan, np.copysign(total, x))


def log64(x: F32) -> F64:
    """ln x in binary64. x = 2^e m with m near 1; ln m = 2 atanh((m - 1) / (m + 1))."""
    positive = (x > 0) & (x < np.inf)
    value = np.where(positive, x, np.float32(1)).astype(np.float64)
    bits = value.view(np.int64)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    f = (bits - (exponent << 52)).view(np.float64) - 1.0
    s = f / (f + 2.0)
    z = s * s
    tail = _horner(z, _ATANH_TERMS)
    tail *= z
    tail *= s
    tail += s + s
    e = exponent.astype(np.float64)
    result = e * _LN2_HIGH + (tail + e * _LN2_LOW)
    if positive.all():
        return result
    special = np.where(x == 0, -np.inf, np.where(x > 0, np.inf, np.nan))
    return np.where(positive, result, special)


EVALUATIONS: dict[str, Callable[[F32], F64]] = {
    "exp": exp64, "log": log64, "sigmoid": sigmoid64, "tanh": tanh64, "erf": erf64,
}  # fmt: skip


def undecided(values: F64) -> NDArray[np.bool_]:
    """True where the ends of the error interval round to different binary32 numbers."""
    margin = np.abs(values) * ERROR_BOUND
    with np.errstate(all="ignore"):
        return (values - margin).astype(np.float32) != (values + margin).astype(np.float32)


def _rounded(name: str, x: F32) -> F32:
    with np.errstate(all="ignore"):
        values = EVALUATIONS[name](x)
        result = values.astype(np.float32)
    unsure = undecided(values)
    if unsure.any():
        inputs, outputs = tables().exceptions[name]
        _apply_exceptions(x, result, np.flatnonzero(unsure), inputs, outputs)
    result[np.isnan(result)] = CANONICAL_NAN
    return result


def _apply_exceptions(
    x: F32, result: F32, places: NDArray[np.intp], inputs: NDArray[np.uint32], outputs: NDArray[np.uint32]
) -> None:
    """Replaces results at the given flat places whose input is listed."""
    if not len(inputs):
        return
    patterns = x.view(np.uint32).reshape(-1)[places]
    found = np.minimum(np.searchsorted(inputs, patterns), len(inputs) - 1)
    hits = inputs[found] == patterns
    result.view(np.uint32).reshape(-1)[places[hits]] = outputs[found[hits]]


def exp(x: F32) -> F32:
    """e^x, correctly rounded, elementwise."""
    return _rounded("exp", np.ascontiguousarray(x))


def log(x: F32) -> F32:
    """Natural logarithm, correctly rounded, elementwise; -inf for zeros, NaN for negative numbers."""
    return _rounded("log", np.ascontiguousarray(x))


def sigmoid(x: F32) -> F32:
    """1 / (1 + e^-x), correctly rounded, elementwise."""
    return _rounded("sigmoid", np.ascontiguousarray(x))


def tanh(x: F32) -> F32:
    """Hyperbolic tangent, correctly rounded, elementwise; keeps the sign of zero."""
    return _rounded("tanh", np.ascontiguousarray(x))


def erf(x: F32) -> F32:
    """Error function, correctly rounded, elementwise; keeps the sign of zero."""
    return _rounded("erf", np.ascontiguousarray(x))
