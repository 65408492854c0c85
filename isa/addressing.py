"""Where an element of a tensor is stored: one formula per format, as in docs/isa.md. Written for clarity, for one element."""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, FMT_SPARSE, PACKED_4BIT, QUADS


@dataclass(frozen=True, slots=True)
class Place:
    """`address` in bytes, relative to the region; `low_bit` 4 for the high nibble of a byte of two elements, else 0."""

    address: int
    low_bit: int = 0


def element_place(d: Descriptor, index: tuple[int, int, int, int]) -> Place:
    """The place of element `index` = (i0, i1, i2, i3), which lies within the extents. Sparse rows have no such formula."""
    if d.fmt & FMT_SPARSE:
        raise ValueError("elements of sparse rows have no fixed place")
    if d.fmt & FMT_BLOCKED:
        return _blocked(d, index)
    i0, i1, i2, i3 = index
    s0, s1, s2, s3 = d.strides
    row = d.base + i1 * s1 + i2 * s2 + i3 * s3
    if d.dtype not in PACKED_4BIT:
        return Place(row + i0 * s0)
    group = 1 << d.glog2
    half = group // 2
    address = row + i0 // group * half + i0 % group % half
    return Place(address, 4 if i0 % group >= half else 0)


def _blocked(d: Descriptor, index: tuple[int, int, int, int]) -> Place:
    k, n, i2, i3 = index
    _, s1, s2, s3 = d.strides
    block = d.base + n // BLOCK_ROWS * s1 + i2 * s2 + i3 * s3
    row = n % BLOCK_ROWS
    if d.dtype in PACKED_4BIT:
        return Place(block + k // 8 * 64 + row * 4 + k % 4, 4 if k % 8 >= 4 else 0)
    if d.dtype in QUADS:
        return Place(block + k // 4 * 64 + row * 4 + k % 4)
    return Place(block + (k * BLOCK_ROWS + row) * (ELEMENT_BITS[d.dtype] // 8))
