"""Tensor descriptors (TD): 32 bytes that say where a tensor is, its element type, up to four extents and byte strides.

Dimension 0 is innermost. Two storage formats besides plain strides: 4-bit groups, and blocked
rows of 16 (fmt bit 1) for weights and their scales, whose values never differ from the plain ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from isa.spec import (
    BLOCK_ROWS,
    ELEMENT_BITS,
    FMT_BLOCKED,
    FMT_SPARSE,
    PACKED_4BIT,
    QUADS,
    TD_FIELDS,
    Dtype,
    Region,
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One TD. `base` and strides in bytes, extents in elements, innermost first."""

    base: int
    region: Region
    dtype: Dtype
    extents: tuple[int, int, int, int]
    strides: tuple[int, int, int, int]
    glog2: int = 0
    fmt: int = 0

    def pack(self) -> bytes:
        """The 32 bytes. Raises ValueError if a field does not fit."""
        values = (self.base, self.region, self.dtype, self.glog2, self.fmt, 0, *self.extents, *self.strides)
        for (name, width, signed), value in zip(TD_FIELDS, values, strict=True):
            low, high = field_range(width, signed)
            if not low <= value <= high:
                raise ValueError(f"descriptor field {name} = {value} does not fit [{low}, {high}]")
        word = self.base | self.region << 40 | self.dtype << 44 | self.glog2 << 48 | self.fmt << 52
        e0, e1, e2, e3 = self.extents
        return struct.pack("<QQ4i", word, e0 | e1 << 20 | e2 << 40 | e3 << 52, *self.strides)

    @staticmethod
    def unpack(data: bytes) -> Descriptor:
        """The descriptor of 32 bytes. Raises ValueError for a reserved dtype, region or non-zero reserved bits."""
        word, extents, *strides = struct.unpack("<QQ4i", data)
        if word >> 56:
            raise ValueError("descriptor: reserved bits are not zero")
        dtype, region, fmt = word >> 44 & 15, word >> 40 & 15, word >> 52 & 15
        if dtype not in ELEMENT_BITS:
            raise ValueError(f"descriptor: dtype {dtype} is reserved")
        if region > Region.SMEM:
            raise ValueError(f"descriptor: region {region} does not exist")
        if fmt > 3:
            raise ValueError(f"descriptor: format {fmt} is reserved")
        e = (extents & 0xFFFFF, extents >> 20 & 0xFFFFF, extents >> 40 & 0xFFF, extents >> 52)
        s0, s1, s2, s3 = strides
        base = word & (1 << 40) - 1
        return Descriptor(base, Region(region), Dtype(dtype), e, (s0, s1, s2, s3), word >> 48 & 15, fmt)

    def with_field(self, name: str, value: int) -> Descriptor:
        """A copy with one of TD_FUNCTIONS changed. Raises ValueError if the value does not fit."""
        width, signed = next((w, s) for n, w, s in TD_FIELDS if n == name)
        low, high = field_range(width, signed)
        if not low <= value <= high:
            raise ValueError(f"descriptor field {name} = {value} does not fit [{low}, {high}]")
        if name == "base":
            return replace(self, base=value)
        position = int(name[1])
        values = list(self.extents if name[0] == "e" else self.strides)
        values[position] = value
        quad = (values[0], values[1], values[2], values[3])
        return replace(self, extents=quad) if name[0] == "e" else replace(self, strides=quad)

    @property
    def elements(self) -> int:
        e0, e1, e2, e3 = self.extents
        return e0 * e1 * e2 * e3

    def row_bytes(self) -> int:
        """Bytes of one run along dimension 0 of a dense tensor (4-bit elements: packed nibbles)."""
        return self.extents[0] * ELEMENT_BITS[self.dtype] // 8

    def sparse_row_bytes(self) -> int:
        """Bytes of a 2:4 sparse row: K/2 values and K/8 bytes of positions."""
        return self.row_bytes() // 2 + self.extents[0] // 8

    def block_bytes(self) -> int:
        """Bytes of one block of 16 rows (fmt bit 1); K is padded to whole quads of 4 or 8 (4-bit) elements."""
        if self.dtype in QUADS:
            group = 8 if self.dtype in PACKED_4BIT else 4
            return -(-self.extents[0] // group) * 4 * BLOCK_ROWS
        return self.row_bytes() * BLOCK_ROWS

    def interval(self) -> tuple[int, int]:
        """The bounding interval [low, high) in bytes, relative to the region; extents must be at least 1."""
        e0, e1, e2, e3 = self.extents
        s0, s1, s2, s3 = self.strides
        if self.fmt & FMT_BLOCKED:
            span, reaches = self.block_bytes(), ((-(-e1 // BLOCK_ROWS) - 1) * s1, (e2 - 1) * s2, (e3 - 1) * s3)
        elif self.fmt & FMT_SPARSE:
            span, reaches = self.sparse_row_bytes(), ((e1 - 1) * s1, (e2 - 1) * s2, (e3 - 1) * s3)
        elif self.dtype in PACKED_4BIT:
            span, reaches = self.row_bytes(), ((e1 - 1) * s1, (e2 - 1) * s2, (e3 - 1) * s3)
        else:
            span, reaches = ELEMENT_BITS[self.dtype] // 8, ((e0 - 1) * s0, (e1 - 1) * s1, (e2 - 1) * s2, (e3 - 1) * s3)
        low = high = self.base
        for reach in reaches:
            if reach > 0:
                high += reach
            else:
                low += reach
        return low, high + span


def field_range(width: int, signed: bool) -> tuple[int, int]:
    """The smallest and largest value of a bit field."""
    return (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)


def dense_strides(dtype: Dtype, extents: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Byte strides of a contiguous tensor, innermost first; 0 for the inner stride of 4-bit elements."""
    row = extents[0] * ELEMENT_BITS[dtype] // 8
    strides = [0 if dtype in PACKED_4BIT else ELEMENT_BITS[dtype] // 8, row]
    for extent in extents[1:-1]:
        strides.append(strides[-1] * extent)
    strides = strides[: len(extents)] + [0] * (4 - len(extents))
    return strides[0], strides[1], strides[2], strides[3]
