"""The memories of one core: DRAM regions, SRAM and SMEM as byte arrays, and typed strided views of them.

WEIGHT and TABLE are read-only views of the mapped executable. KV, IO and SCRATCH are zero-backed; the operating system gives pages when
they are first touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, PACKED_4BIT, QUADS, SMEM_BYTES, Dtype, Region

Bytes = NDArray[np.uint8]
Array = NDArray[Any]

STORAGE = {
    Dtype.F32: np.dtype("<f4"), Dtype.F16: np.dtype("<f2"), Dtype.BF16: np.dtype("<u2"), Dtype.I32: np.dtype("<i4"),
    Dtype.I8: np.dtype("i1"), Dtype.I4: np.dtype("u1"), Dtype.U8: np.dtype("u1"), Dtype.E8M0: np.dtype("u1"),
    Dtype.E4M3: np.dtype("u1"), Dtype.E2M1: np.dtype("u1"),
}  # fmt: skip
"""NumPy dtype of one stored element; bf16, e4m3 and e8m0 as their bit patterns, 4-bit elements as bytes of two."""

BITS = {1: np.dtype("u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4")}
_QUAD_BLOCK_BYTES = 64  # 16 rows x 4 bytes


class RegionTooLarge(Exception):
    """A region that cannot be provided: larger than the machine or than this computer allows."""


class Memory:
    """Byte arrays by region. `sizes` bounds every access, also of regions without storage (timing-only mode)."""

    def __init__(
        self, sizes: Mapping[Region, int], mapped: Mapping[Region, Bytes], absent: frozenset[Region] = frozenset()
    ) -> None:
        self.sizes = {region: sizes.get(region, 0) for region in Region}
        self.sizes[Region.SMEM] = SMEM_BYTES
        self.smem = bytearray(SMEM_BYTES)
        self.arrays: dict[Region, Bytes] = {}
        for region, size_bytes in self.sizes.items():
            if region in mapped:
                self.sizes[region] = len(mapped[region])
                self.arrays[region] = mapped[region]
            elif region == Region.SMEM:
                self.arrays[region] = np.frombuffer(self.smem, np.uint8)
            elif region not in absent:
                self.arrays[region] = zeros(region, size_bytes)

    def grow(self, region: Region, size_bytes: int) -> None:
        """Makes a zero-backed region at least this large; its contents stay."""
        if size_bytes <= self.sizes[region]:
            return
        larger = zeros(region, size_bytes)
        larger[: self.sizes[region]] = self.arrays[region]
        self.arrays[region] = larger
        self.sizes[region] = size_bytes

    def view(self, d: Descriptor) -> Array:
        """Elements [e3, e2, e1, e0] in storage dtype (4-bit: bytes [e3, e2, e1, e0 / 2]). Not for blocked or sparse tensors."""
        return strided(self.arrays[d.region], d, STORAGE[d.dtype])

    def bits(self, d: Descriptor) -> Array:
        """Like `view`, as unsigned integers: copying them keeps every bit pattern."""
        return strided(self.arrays[d.region], d, BITS[STORAGE[d.dtype].itemsize])


def zeros(region: Region, size_bytes: int) -> Bytes:
    """Lazily provided zero bytes."""
    try:
        return np.zeros(size_bytes, np.uint8)
    except (MemoryError, ValueError, OverflowError) as error:
        raise RegionTooLarge(f"region {region.name} of {size_bytes} bytes cannot be allocated") from error


def blocked_columns(d: Descriptor) -> int:
    """Quads (four bytes: 4 elements, or 8 of 4 bits) per row of a blocked tensor of QUADS."""
    return -(-d.extents[0] // (8 if d.dtype in PACKED_4BIT else 4))


def strided(array: Bytes, d: Descriptor, dtype: np.dtype[Any]) -> Array:
    """The descriptor's elements in `array`; NumPy checks the bounds once more."""
    e0, e1, e2, e3 = d.extents
    s0, s1, s2, s3 = d.strides
    if d.dtype in PACKED_4BIT:
        e0, s0 = e0 // 2, 1
    return np.ndarray((e3, e2, e1, e0), dtype, array, d.base, (s3, s2, s1, s0))


def blocked(array: Bytes, d: Descriptor, dtype: np.dtype[Any]) -> Array:
    """Storage of a blocked tensor, rows padded to 16.

    QUADS: bytes [e3, e2, rows / 16, 16, blocked_columns, 4]; others: elements [e3, e2, rows / 16, 16, e0].
    """
    _, _, e2, e3 = d.extents
    _, s1, s2, s3 = d.strides
    blocks = -(-d.extents[1] // BLOCK_ROWS)
    if d.dtype in QUADS:
        shape: tuple[int, ...] = (e3, e2, blocks, BLOCK_ROWS, blocked_columns(d), 4)
        steps: tuple[int, ...] = (s3, s2, s1, 4, _QUAD_BLOCK_BYTES, 1)
    else:
        size = dtype.itemsize
        shape = (e3, e2, blocks, BLOCK_ROWS, d.extents[0])
        steps = (s3, s2, s1, size, size * BLOCK_ROWS)
    return np.ndarray(shape, dtype, array, d.base, steps)


def element_bytes(dtype: Dtype) -> int:
    """Alignment of an element; 1 for 4-bit ones."""
    return max(1, ELEMENT_BITS[dtype] // 8)
