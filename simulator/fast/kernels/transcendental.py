"""exp, log, sigmoid, tanh and erf of 16 lanes, in binary64 lanes, correctly rounded (docs/transcendentals.md).

tanh, log and erf are the evaluation of simulator/transcendental.py, operation by operation, so its proof holds here: rounding the
binary64 value gives the result but for the inputs that the tables list. These are looked up where a value lies near the middle of two
binary32 numbers. One thing differs: n is rounded by adding and subtracting 3 * 2^51, which leaves n in the low bits. It may turn
a zero n positive, which changes nothing.

exp, and with it sigmoid, is shorter: x = (8 k + j) ln 2 / 8 + r gives 2^k * 2^(j/8) * e^r with |r| < 0.0434 and a polynomial of degree 7.
Its error is below 1.3 * 2^-53, less than that of the longer evaluation. That no other input is an exception is seen by visiting all.
"""

from __future__ import annotations

import math
import struct

from simulator.fast.kernels.conversion import SIGN, bits_of, float_of
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Kind, Value
from simulator.transcendental import tables

_INVERSE_LN2 = float.fromhex("0x1.71547652b82fep+0")
_LN2_HIGH = float.fromhex("0x1.62e42fefa2p-1")
_LN2_LOW = float.fromhex("0x1.9ef35793c7673p-41")
_SQRT_HALF_BITS = 0x3FE6A09E00000000
# 2^(j/8), rounded; from its bits j is taken off 3 places below the exponent, where j is once 8 k + j has been shifted there.
_EIGHTH_POWERS = (
    "0x1p+0", "0x1.172b83c7d517bp+0", "0x1.306fe0a31b715p+0", "0x1.4bfdad5362a27p+0",
    "0x1.6a09e667f3bcdp+0", "0x1.8ace5422aa0dbp+0", "0x1.ae89f995ad3adp+0", "0x1.d5818dcfba487p+0",
)  # fmt: skip
_TABLE = tuple(
    struct.unpack("<q", struct.pack("<d", float.fromhex(power)))[0] - (j << 49)
    for j, power in enumerate(_EIGHTH_POWERS)
)
# (e^r - 1 - r) / r^2 for |r| <= 0.0434: the polynomial that is right at the six Chebyshev points. Times r^2 it is off by 2^-56.5 at most.
_SHORT_TERMS = tuple(
    float.fromhex(term)
    for term in (
        "0x1.000000000002ep-1", "0x1.555555555556ap-3", "0x1.5555554e90e7cp-5", "0x1.1111110e0f1a5p-7",
        "0x1.6c1b72275ef38p-10", "0x1.a01e2cf013154p-13",
    )
)  # fmt: skip
_EXPM1_TERMS = tuple(1.0 / math.factorial(k) for k in range(2, 14))
_ATANH_TERMS = tuple(2.0 / k for k in range(3, 24, 2))
_SHIFT = 3 * 2.0**51
_DROPPED_BITS = (1 << 29) - 1  # of a binary64 number that is rounded to binary32
_NEAR = 32  # twice the error bound, in units of the last place


def _wide(x: Value) -> Value:
    return x.cast("fpext", "f64")


def _rounded(x: Value) -> Value:
    return x.cast("fptrunc", "f32")


def _bits64(x: Value) -> Value:
    return x.cast("bitcast", "i64")


def _horner(z: Value, coefficients: tuple[float, ...]) -> Value:
    """c[0] + z * (c[1] + ..)."""
    total = z * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total = (total + coefficient) * z
    return total + coefficients[0]


def _reduced(x: Value) -> tuple[Value, Value]:
    """x = n ln 2 + r: 2^n and e^r - 1."""
    shifted = x * _INVERSE_LN2 + _SHIFT
    n = shifted - _SHIFT
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    power = ((_bits64(shifted) + 1023) << 52).cast("bitcast", "f64")
    return power, _horner(r, _EXPM1_TERMS) * (r * r) + r


def _exp64(code: Code, x: Value) -> Value:
    """e^x for x in binary32 with |x| <= 110."""
    wide = _wide(x)
    shifted = wide * (8 * _INVERSE_LN2) + _SHIFT
    n = shifted - _SHIFT
    r = (wide - n * (_LN2_HIGH / 8)) - n * (_LN2_LOW / 8)
    bits = _bits64(shifted)
    power = (code.lookup(_TABLE, bits) + (bits << 49)).cast("bitcast", "f64")
    return power + power * (_horner(r, _SHORT_TERMS) * (r * r) + r)


def _magnitude(x: Value) -> Value:
    return x.call("fabs")


def _with_sign(x: Value, sign: Value) -> Value:
    """x, which is not negative, with the sign of another number."""
    return float_of(bits_of(x) | bits_of(sign) & SIGN)


def exp(code: Code, x: Value) -> Value:
    """e^x. No input is an exception."""
    return _rounded(_exp64(code, x.at_least(-110.0).at_most(100.0)))


def tanh(code: Code, x: Value) -> Value:
    """E / (E + 2) with E = e^(2 |x|) - 1. No input is an exception."""
    power, tail = _reduced(_wide(_magnitude(x)).at_most(20.0) * 2.0)
    tail = tail * power + (power - 1.0)
    return _with_sign(_rounded(tail / (tail + 2.0)), x)


def sigmoid(code: Code, x: Value) -> Value:
    """1 / (1 + e^-x)."""
    total = _exp64(code, (x.like(-0.0) - x).at_least(-110.0).at_most(110.0)) + 1.0
    return _corrected(code, "sigmoid", x, total.like(1.0) / total)


def log(code: Code, x: Value) -> Value:
    """ln x = e ln 2 + 2 atanh((m - 1) / (m + 1)) with x = 2^e m."""
    is_positive = (x > 0.0) & (x < math.inf)
    bits = _bits64(_wide(is_positive.choose(x, x.like(1.0))))
    exponent = (bits - _SQRT_HALF_BITS).shifted_signed(52)
    f = (bits - (exponent << 52)).cast("bitcast", "f64") - 1.0
    s = f / (f + 2.0)
    z = s * s
    tail = _horner(z, _ATANH_TERMS) * z * s + (s + s)
    e = exponent.cast("trunc", "i32").cast("sitofp", "f64")
    result = _corrected(code, "log", x, e * _LN2_HIGH + (tail + e * _LN2_LOW))
    special = x.equals(0.0).choose(x.like(-math.inf), (x > 0.0).choose(x.like(math.inf), x.like(math.nan)))
    return is_positive.choose(result, special)


def erf(code: Code, x: Value) -> Value:
    """The Taylor polynomial about the nearest multiple of 1/16. No input is an exception."""
    coefficients = tables().erf
    terms, cells = coefficients.shape
    table = code.table("f64", [float(number) for number in coefficients.reshape(-1)])
    is_nan = x.is_nan()
    size = _wide(_magnitude(is_nan.choose(x.like(0.0), x))).at_most(4.0)
    nearest = (size * 16.0).call("rint")
    cell = nearest.cast("fptosi", "i32").cast("sext", "i64")
    h = size - nearest * (1.0 / 16)
    total = code.gather(Kind("f64", x.kind.lanes), table + 8 * (terms - 1) * cells, cell)
    for term in range(terms - 2, -1, -1):
        total = total * h + code.gather(total.kind, table + 8 * term * cells, cell)
    return is_nan.choose(x.like(math.nan), _with_sign(_rounded(total), x))


def _corrected(code: Code, name: str, x: Value, values: Value) -> Value:
    """The values rounded, those of inputs in the table as it says. Subnormal results count as near the middle."""
    result = code.variable(_rounded(values))
    dropped = (_bits64(values) - ((1 << 28) - _NEAR)) & _DROPPED_BITS
    is_near = (dropped < 2 * _NEAR) | (values.call("fabs") < 2.0**-126)
    with code.when(is_near.any(), likely=False):
        inputs, outputs = tables().exceptions[name]
        table = code.table("i32", [int(word) for pair in zip(inputs, outputs, strict=True) for word in pair])
        with code.loop(code.word(0), code.word(8 * len(inputs)), 8) as offset:
            pattern, replacement = (code.load(Kind("i32"), table + offset + at).spread(x.kind.lanes) for at in (0, 4))
            hit = bits_of(x).equals(pattern)
            result.set(hit.choose(float_of(replacement), result.get()))
    return result.get()
