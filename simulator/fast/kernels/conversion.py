"""Stored elements as vectors of binary32 and back, 16 at a time (docs/numerics.md, section 1).

Conversions take and give bit patterns in 32-bit lanes. Every NaN that is made is canonical.
"""

from __future__ import annotations

from collections.abc import Callable

from isa.spec import ELEMENT_BITS, Dtype
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Kind, Value
from simulator.fast.target import has

Conversion = Callable[[Value], Value]
HAS_HALF = has("f16c") or has("avx512f")
"""Otherwise LLVM would call functions for binary16 that are not there."""
CANONICAL_NAN, CANONICAL_NAN_F16, CANONICAL_NAN_BF16 = 0x7FC00000, 0x7E00, 0x7FC0
SIGN = -(1 << 31)


def bits_of(x: Value) -> Value:
    """Of binary32."""
    return x.cast("bitcast", "i32")


def float_of(bits: Value) -> Value:
    """The binary32 number with these bits."""
    return bits.cast("bitcast", "f32")


# ---- to binary32, from bit patterns with zeroes above them


def from_bf16(bits: Value) -> Value:
    return float_of(bits << 16)


def from_f16(bits: Value) -> Value:
    return bits.cast("trunc", "i16").cast("bitcast", "f16").cast("fpext", "f32")


def from_f16_by_parts(bits: Value) -> Value:
    """The exponent and mantissa as those of a binary32 number 2^112 times too small; the highest exponent is infinity or NaN."""
    value = bits_of(float_of((bits & 0x7FFF) << 13) * 2.0**112)
    value = (bits & 0x7C00).equals(0x7C00).choose(value | 0x7F800000, value)
    return float_of(value | (bits & 0x8000) << 16)


def from_i32(bits: Value) -> Value:
    return bits.cast("sitofp", "f32")


def from_i8(bits: Value) -> Value:
    return bits.cast("trunc", "i8").cast("sext", "i32").cast("sitofp", "f32")


def from_e8m0(bits: Value) -> Value:
    """2^(e - 127): subnormal for e = 0, NaN for e = 255."""
    power = bits.equals(0).choose(bits.like(1 << 22), bits << 23)
    return float_of(bits.equals(255).choose(bits.like(CANONICAL_NAN), power))


def from_e4m3(bits: Value) -> Value:
    """The OCP variant: only the codes of exponent and mantissa all ones are NaN."""
    size = bits & 0x7F
    power = (size < 8).choose(bits_of(size.cast("sitofp", "f32") * 2.0**-9), (size << 20) + (120 << 23))
    return float_of(size.equals(0x7F).choose(size.like(CANONICAL_NAN), power) | (bits & 0x80) << 24)


def from_i4(nibbles: Value) -> Value:
    """Nibbles hold the number + 8."""
    return (nibbles - 8).cast("sitofp", "f32")


def from_e2m1(nibbles: Value) -> Value:
    size = nibbles & 7
    power = (size < 2).choose(size * (126 << 23), (size << 22) + (126 << 23))
    return float_of(power | (nibbles & 8) << 28)


# ---- from binary32, to bit patterns in the low bits


def to_f32(x: Value) -> Value:
    """Chosen among bits: LLVM takes one NaN for another, and would leave out a choice between a square root and NaN."""
    bits = bits_of(x)
    return x.is_nan().choose(bits.like(CANONICAL_NAN), bits)


def to_bf16(x: Value) -> Value:
    bits = bits_of(x)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return x.is_nan().choose(bits.like(CANONICAL_NAN_BF16), rounded)


def to_f16(x: Value) -> Value:
    half = x.cast("fptrunc", "f16").cast("bitcast", "i16").cast("zext", "i32")
    return x.is_nan().choose(half.like(CANONICAL_NAN_F16), half)


def to_f16_by_parts(x: Value) -> Value:
    """Normal numbers: the bits cut, to nearest even; subnormal ones: the sum with 1/2 has their unit as its last bit."""
    bits = bits_of(x)
    size = bits & 0x7FFFFFFF
    normal = (size - (112 << 23) + 0xFFF + (size >> 13 & 1)) >> 13
    tiny = bits_of(float_of(size) + 0.5) - 0x3F000000
    value = (size < 113 << 23).choose(tiny, normal.at_most(0x7C00))
    return x.is_nan().choose(bits.like(CANONICAL_NAN_F16), value | bits >> 16 & 0x8000)


def _whole(x: Value) -> Value:
    """To nearest even; NaN gives 0."""
    return x.is_nan().choose(x.like(0.0), x).call("rint")


def to_i8(x: Value) -> Value:
    """Saturated."""
    return _whole(x).at_least(-128.0).at_most(127.0).cast("fptosi", "i32")


def to_i4(x: Value) -> Value:
    """Saturated."""
    return _whole(x).at_least(-8.0).at_most(7.0).cast("fptosi", "i32")


def to_i32(x: Value) -> Value:
    """Saturated. 2^31 - 1 is no binary32 number: it is chosen behind the conversion, for what is at or above 2^31."""
    whole = _whole(x).at_least(-(2.0**31))
    fits = whole < 2.0**31
    number = fits.choose(whole, whole.like(0.0)).cast("fptosi", "i32")
    return fits.choose(number, number.like(2**31 - 1))


WIDEN: dict[Dtype, Conversion] = {
    Dtype.F32: float_of, Dtype.BF16: from_bf16, Dtype.F16: from_f16 if HAS_HALF else from_f16_by_parts,
    Dtype.I32: from_i32, Dtype.I8: from_i8, Dtype.U8: from_i32, Dtype.E8M0: from_e8m0,
}  # fmt: skip
"""Nibbles (i4) are numbers of 32 bits already when they have been taken out of their bytes."""
WIDEN_WEIGHTS = {**WIDEN, Dtype.E4M3: from_e4m3}
"""What matrix products read."""
WIDEN_NIBBLES: dict[Dtype, Conversion] = {Dtype.I4: from_i4, Dtype.E2M1: from_e2m1}
NARROW: dict[Dtype, Conversion] = {
    Dtype.F32: to_f32, Dtype.BF16: to_bf16, Dtype.F16: to_f16 if HAS_HALF else to_f16_by_parts,
    Dtype.I32: to_i32, Dtype.I8: to_i8, Dtype.I4: to_i4,
}  # fmt: skip


# ---- elements that follow each other


def size_bytes(dtype: Dtype) -> int:
    """Of an element; 0 for 4-bit ones."""
    return ELEMENT_BITS[dtype] // 8


def read(code: Code, dtype: Dtype, address: Value, count: Value | None = None, lanes: int = 16) -> Value:
    """Elements from an address on as binary32; with a count only so many, the other lanes are those of zeroes. Not of 4-bit ones."""
    kind = Kind(f"i{ELEMENT_BITS[dtype]}", lanes)
    stored = code.load(kind, address) if count is None else code.load_first(kind, address, count)
    return WIDEN_WEIGHTS[dtype](stored if kind.element == "i32" else stored.cast("zext", "i32"))


def write(code: Code, dtype: Dtype, address: Value, x: Value, count: Value | None = None) -> None:
    """Rounds and stores; with a count only so many lanes. Not for 4-bit elements."""
    element, bits = f"i{ELEMENT_BITS[dtype]}", NARROW[dtype](x)
    stored = bits if element == "i32" else bits.cast("trunc", element)
    if count is None:
        code.store(address, stored)
    else:
        code.store_first(address, stored, count)
