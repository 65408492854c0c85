"""Sixteen stored elements at once to binary32, exact (docs/numerics.md, section 1)."""

from __future__ import annotations

from typing import Any

from isa.spec import Dtype
from simulator.fast.kernels.matrix_emit import Code, Number
from simulator.fast.kernels.vectors import F16, F32, I8, I16, I32, constant
from simulator.fast.target import has


def load_floats(c: Code, dtype: Dtype, address: Number) -> Any:
    """16 elements side by side: f32, f16, bf16, i8."""
    if dtype == Dtype.F32:
        return c.load(address, F32.llvm)
    if dtype == Dtype.I8:
        return c.b.sitofp(c.load(address, I8.llvm), F32.llvm)
    stored = c.load(address, I16.llvm)
    return floats_of_halves(c, stored) if dtype == Dtype.F16 else floats_of_brains(c, stored)


def floats_of_brains(c: Code, stored: Any) -> Any:
    """bf16: the upper half of binary32."""
    return c.b.bitcast(c.b.shl(c.b.zext(stored, I32.llvm), constant(I32, 16)), F32.llvm)


def floats_of_halves(c: Code, stored: Any) -> Any:
    """f16. A processor without the conversion would have LLVM call a function that is not there."""
    b = c.b
    if has("f16c") or has("avx512f"):
        return b.fpext(b.bitcast(stored, F16.llvm), F32.llvm)
    wide = b.zext(stored, I32.llvm)
    magnitude = b.and_(wide, constant(I32, 0x7FFF))
    shifted = b.shl(magnitude, constant(I32, 13))
    normal = b.add(shifted, constant(I32, 112 << 23))
    not_finite = b.or_(shifted, constant(I32, 0x7F800000))
    small = b.bitcast(b.fmul(b.uitofp(magnitude, F32.llvm), constant(F32, 2.0**-24)), I32.llvm)
    bits = b.select(b.icmp_unsigned(">=", magnitude, constant(I32, 0x7C00)), not_finite, normal)
    bits = b.select(b.icmp_unsigned("<", magnitude, constant(I32, 0x400)), small, bits)
    sign = b.shl(b.and_(wide, constant(I32, 0x8000)), constant(I32, 16))
    return b.bitcast(b.or_(sign, bits), F32.llvm)
