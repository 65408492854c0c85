"""Stored elements to binary32 and back (docs/numerics.md, section 1), and the storage formats of weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, FMT_BLOCKED, FMT_SPARSE, PACKED_4BIT, Dtype
from simulator.memory import STORAGE, Array, Memory, blocked

F32 = NDArray[np.float32]
CANONICAL_NAN = np.uint32(0x7FC00000).view(np.float32)
CANONICAL_NAN_F16 = np.uint16(0x7E00).view(np.float16)
CANONICAL_NAN_BF16 = np.uint16(0x7FC0)
I4_BIAS = 8
_SATURATION = {Dtype.I8: (-128, 127, np.int8), Dtype.I4: (-8, 7, np.int8), Dtype.I32: (-(2**31), 2**31 - 1, np.int32)}


def canonical(values: F32) -> F32:
    """The values with every NaN canonical; may be the same array."""
    nan = np.isnan(values)
    return np.where(nan, CANONICAL_NAN, values) if nan.any() else values


def to_f32(stored: Array, dtype: Dtype) -> F32:
    """Values of stored elements (i4, e2m1: unpacked to int8 and to codes)."""
    if dtype == Dtype.F32:
        return stored
    if dtype == Dtype.BF16:
        return (stored.astype(np.uint32) << 16).view(np.float32)
    if dtype in CODED:
        return CODED[dtype][stored]
    return stored.astype(np.float32)


def _powers_of_two() -> F32:
    """2^(e - 127) for e < 255, then NaN: the 256 values of e8m0."""
    bits = np.arange(256, dtype=np.uint32) << 23
    bits[0] = 1 << 22  # 2^-127 is subnormal
    bits[255] = 0x7FC00000
    return bits.view(np.float32)


def _small_floats(exponent_bits: int, mantissa_bits: int, bias: int) -> F32:
    """The values of all codes sign, exponent, mantissa; with subnormals, without infinities."""
    codes = np.arange(2 << exponent_bits + mantissa_bits)
    mantissa = codes & (1 << mantissa_bits) - 1
    exponent = codes >> mantissa_bits & (1 << exponent_bits) - 1
    significand = np.where(exponent > 0, mantissa + (1 << mantissa_bits), mantissa)
    magnitude = np.ldexp(significand.astype(np.float32), np.maximum(exponent, 1) - bias - mantissa_bits)
    return np.where(codes >> exponent_bits + mantissa_bits, -magnitude, magnitude).astype(np.float32)


def _e4m3() -> F32:
    """The OCP variant: S.1111.111 is NaN, the other codes of the highest exponent are numbers."""
    values = _small_floats(exponent_bits=4, mantissa_bits=3, bias=7)
    values[[0x7F, 0xFF]] = CANONICAL_NAN
    return values


CODED = {Dtype.E8M0: _powers_of_two(), Dtype.E4M3: _e4m3(), Dtype.E2M1: _small_floats(2, 1, 1)}
"""The values of the formats whose codes are looked up."""


def from_f32(values: F32, dtype: Dtype) -> Array:
    """Storage elements of binary32 values, rounded to nearest even; i4 as int8 in -8..7."""
    if dtype == Dtype.F32:
        return canonical(values)
    if dtype == Dtype.F16:
        half = values.astype(np.float16)
        return np.where(np.isnan(half), CANONICAL_NAN_F16, half)
    if dtype == Dtype.BF16:
        bits = values.astype(np.float32).view(np.uint32)
        rounded = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
        return np.where(np.isnan(values), CANONICAL_NAN_BF16, rounded)
    low, high, kind = _SATURATION[dtype]
    whole = np.clip(np.rint(values).astype(np.float64), low, high)
    return np.where(np.isnan(whole), 0.0, whole).astype(kind)


def unpack(packed: Array, dtype: Dtype, group: int) -> Array:
    """Bytes [..., n / 2] in groups of `group` elements to [..., n]: i4 values as int8, e2m1 codes."""
    halves = packed.reshape(*packed.shape[:-1], -1, group // 2)
    return _nibbles(halves, dtype).reshape(*packed.shape[:-1], -1)


def _nibbles(halves: Array, dtype: Dtype) -> Array:
    """[..., h] bytes to [..., 2h]: the low nibbles, then the high ones."""
    codes = np.concatenate([halves & 15, halves >> 4], axis=-1)
    return codes.astype(np.int8) - I4_BIAS if dtype == Dtype.I4 else codes


def pack_i4(values: Array, group: int) -> Array:
    """Values [..., n] in -8..7 to bytes [..., n / 2]."""
    groups = (values.reshape(*values.shape[:-1], -1, group) + I4_BIAS).astype(np.uint8)
    packed = groups[..., : group // 2] | groups[..., group // 2 :] << 4
    return packed.reshape(*values.shape[:-1], -1)


def read(memory: Memory, d: Descriptor) -> Array:
    """Stored elements [e3, e2, e1, e0] of a plain or blocked tensor; i4 as int8, e2m1 as codes. May be a view."""
    if d.fmt & FMT_BLOCKED:
        return _read_blocked(memory, d)
    view = memory.view(d)
    return unpack(view, d.dtype, 1 << d.glog2) if d.dtype in PACKED_4BIT else view


def _read_blocked(memory: Memory, d: Descriptor) -> Array:
    """8-bit weights: [N/16][K/4][16][4]; 4-bit: [N/16][K/8][16][low nibbles k..k+3, high k+4..k+7]; others: [N/16][K][16]."""
    e0, e1, e2, e3 = d.extents
    stored = blocked(memory.arrays[d.region], d, STORAGE[d.dtype])
    if d.dtype in PACKED_4BIT:
        stored = _nibbles(stored, d.dtype)
    rows = stored.shape[2] * BLOCK_ROWS
    return stored.reshape(e3, e2, rows, -1)[:, :, :e1, :e0]


def load(memory: Memory, d: Descriptor) -> F32:
    """Values [e3, e2, e1, e0] as binary32. May be a view of the memory."""
    return to_f32(read(memory, d), d.dtype)


def store(memory: Memory, d: Descriptor, values: F32) -> None:
    """Rounds values (broadcastable to [e3, e2, e1, e0]) to the descriptor's dtype and writes them."""
    elements = from_f32(values, d.dtype)
    if d.dtype == Dtype.I4:
        e0, e1, e2, e3 = d.extents
        elements = pack_i4(np.broadcast_to(elements, (e3, e2, e1, e0)), 1 << d.glog2)
    memory.view(d)[...] = elements


def read_sparse(memory: Memory, d: Descriptor) -> tuple[F32, NDArray[np.intp]]:
    """2:4 rows (K/2 values, then K/8 bytes of 2-bit positions): values and their columns, both [e2, e1, e0 / 2].

    Byte i of i4 values holds kept values 2i (low nibble) and 2i + 1.
    """
    assert d.fmt == FMT_SPARSE
    e0, e1, e2, _ = d.extents
    kept = e0 // 2
    if d.dtype == Dtype.I4:
        values = unpack(memory.view(_row_part(d, d.base, Dtype.U8, kept // 2))[0], d.dtype, group=2)
    else:
        values = memory.view(_row_part(d, d.base, d.dtype, kept))[0]
    codes = memory.view(_row_part(d, d.base + d.row_bytes() // 2, Dtype.U8, e0 // 8))[0]
    pairs = (codes[..., None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3).reshape(e2, e1, kept)
    columns = pairs.astype(np.intp) + np.arange(kept, dtype=np.intp) // 2 * 4
    return to_f32(values, d.dtype), columns


def _row_part(d: Descriptor, base: int, dtype: Dtype, count: int) -> Descriptor:
    _, e1, e2, e3 = d.extents
    _, s1, s2, s3 = d.strides
    step: Any = d.strides[0] if dtype == d.dtype else 1
    return Descriptor(base, d.region, dtype, (count, e1, e2, e3), (step, s1, s2, s3))
