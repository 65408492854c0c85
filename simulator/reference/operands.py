"""An instruction at dispatch with its captured operands, and the rules each tensor operand obeys.

Order of checks: legality of each descriptor, region, dtypes, shapes, alignment and bounds of each operand, overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from isa.descriptor import Descriptor
from isa.spec import (
    BLOCKED_DTYPES,
    ELEMENT_BITS,
    FMT_BLOCKED,
    FMT_SPARSE,
    MIN_GLOG2_4BIT,
    PACKED_4BIT,
    READ_ONLY_REGIONS,
    Dtype,
    Feature,
    Instruction,
    Region,
    Trap,
)
from simulator.memory import Memory, element_bytes
from simulator.traps import Fault

ON_CHIP = (Region.SRAM, Region.SMEM)
SPARSE_DTYPES = (Dtype.I8, Dtype.I4, Dtype.F16, Dtype.BF16, Dtype.F32)
MAX_ELEMENTS = 1 << 26
"""Logical elements of one operand: stride 0 could name far more than any memory holds. Beyond it the watchdog traps."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One engine instruction: `operands` by name (ta tb tc td), x-register values, the fp32 scalar of flags I and X."""

    row: Instruction
    function: str
    fl: int
    operands: dict[str, Descriptor]
    rd: int
    rs: int
    rt: int
    scalar: np.float32 | None

    def __getitem__(self, operand: str) -> Descriptor:
        return self.operands[operand]


@dataclass(frozen=True, slots=True)
class Context:
    """What instructions act on. `features` are those the executable requires."""

    memory: Memory
    features: Feature


def require(condition: bool, cause: Trap, operand: str, detail: str) -> None:
    """Raises a Fault unless the condition holds."""
    if not condition:
        raise Fault(cause, operand, detail)


def legal(context: Context, operand: str, d: Descriptor, formats: int = 0) -> None:
    """Extents, 4-bit groups and storage format; `formats` are the fmt bits this operand may have."""
    elements = d.elements
    if not 0 < elements <= MAX_ELEMENTS:
        require(elements > 0, Trap.TD_ILLEGAL, operand, "an extent is 0")
        raise Fault(
            Trap.WATCHDOG, operand, f"{elements} elements, at most {MAX_ELEMENTS} are simulated in one instruction"
        )
    if d.fmt:
        _legal_format(context, operand, d, formats)
    if d.dtype in PACKED_4BIT:
        _legal_nibbles(operand, d)


def _legal_nibbles(operand: str, d: Descriptor) -> None:
    name, group = d.dtype.name.lower(), 1 << d.glog2
    require(d.glog2 >= MIN_GLOG2_4BIT, Trap.TD_ILLEGAL, operand, f"{name} groups of 2^{d.glog2} are shorter than 32")
    whole = d.extents[0] % group == 0
    require(whole, Trap.TD_ILLEGAL, operand, f"e0 = {d.extents[0]} is not a multiple of the {name} group {group}")
    require(d.strides[0] == 0, Trap.TD_ILLEGAL, operand, f"s0 = {d.strides[0]} of an {name} tensor is not 0")


def _legal_format(context: Context, operand: str, d: Descriptor, formats: int) -> None:
    require(not d.fmt & ~formats and d.fmt != (FMT_BLOCKED | FMT_SPARSE), Trap.TD_ILLEGAL, operand, f"fmt {d.fmt}")
    if d.fmt == FMT_BLOCKED:
        require(d.dtype in BLOCKED_DTYPES, Trap.TD_ILLEGAL, operand, f"blocked {d.dtype.name}")
        require(d.strides[0] == 0, Trap.TD_ILLEGAL, operand, f"s0 = {d.strides[0]} of a blocked tensor is not 0")
        return
    require(bool(context.features & Feature.SPARSE), Trap.UNSUPPORTED_FEATURE, operand, "sparse rows")
    require(d.dtype in SPARSE_DTYPES, Trap.TD_ILLEGAL, operand, f"sparse {d.dtype.name}")
    require(
        d.extents[0] % 8 == 0, Trap.TD_ILLEGAL, operand, f"e0 = {d.extents[0]} of sparse rows is not a multiple of 8"
    )
    dense = d.strides[0] == (0 if d.dtype in PACKED_4BIT else ELEMENT_BITS[d.dtype] // 8)
    require(dense, Trap.TD_ILLEGAL, operand, f"s0 = {d.strides[0]} of sparse rows is not the element size")


def in_regions(operand: str, d: Descriptor, regions: tuple[Region, ...]) -> None:
    """The operand lies in one of the regions the engine reaches."""
    require(d.region in regions, Trap.ILLEGAL_REGION, operand, f"region {d.region.name}")


def has_dtype(operand: str, d: Descriptor, dtypes: tuple[Dtype, ...]) -> None:
    require(d.dtype in dtypes, Trap.ILLEGAL_DTYPE, operand, f"dtype {d.dtype.name}")


def has_extents(operand: str, d: Descriptor, extents: tuple[int, int, int, int]) -> None:
    require(d.extents == extents, Trap.SHAPE_MISMATCH, operand, f"extents {d.extents}, expected {extents}")


def source(context: Context, operand: str, d: Descriptor) -> None:
    """Alignment and bounds."""
    size = element_bytes(d.dtype)
    s0, s1, s2, s3 = d.strides
    if d.base % size or s0 % size or s1 % size or s2 % size or s3 % size:
        raise Fault(Trap.MISALIGNED, operand, f"base {d.base:#x}, strides {d.strides}, elements of {size} bytes")
    low, high = bounds(d)
    limit = context.memory.sizes[d.region]
    if low < 0 or high > limit:
        raise Fault(
            Trap.OUT_OF_BOUNDS, operand, f"bytes [{low:#x}, {high:#x}) of {d.region.name}, which has {limit:#x}"
        )


def destination(
    context: Context, operand: str, d: Descriptor, sources: tuple[Descriptor, ...], aligned: bool = True
) -> None:
    """Like `source`; writable, no two elements in one place; equal to or disjoint from each source.

    `aligned` = False: no source may equal the destination (the instruction is not elementwise).
    """
    source(context, operand, d)
    require(d.region not in READ_ONLY_REGIONS, Trap.READ_ONLY, operand, f"region {d.region.name}")
    distinct = distinct_elements(d.dtype, d.extents, d.strides)
    require(
        distinct, Trap.ILLEGAL_OVERLAP, operand, f"two elements in one place: extents {d.extents}, strides {d.strides}"
    )
    for other in sources:
        if other.region == d.region and not (aligned and same_elements(d, other)):
            require(disjoint(d, other), Trap.ILLEGAL_OVERLAP, operand, "overlaps a source without being equal to it")


def bounds(d: Descriptor) -> tuple[int, int]:
    """`d.interval()`, remembered for all bases."""
    low, high = _reach(d.dtype, d.extents, d.strides, d.fmt)
    return d.base + low, d.base + high


@lru_cache(maxsize=4096)
def _reach(
    dtype: Dtype, extents: tuple[int, int, int, int], strides: tuple[int, int, int, int], fmt: int
) -> tuple[int, int]:
    return Descriptor(0, Region.SRAM, dtype, extents, strides, fmt=fmt).interval()


def same_elements(a: Descriptor, b: Descriptor) -> bool:
    """Equal base, extents, strides and element size."""
    return a.base == b.base and same_shape(a, b)


def same_shape(a: Descriptor, b: Descriptor) -> bool:
    """Equal extents, strides and element size."""
    if (a.extents, a.strides, a.fmt) != (b.extents, b.strides, b.fmt):
        return False
    same_size = ELEMENT_BITS[a.dtype] == ELEMENT_BITS[b.dtype]
    return same_size and (a.dtype not in PACKED_4BIT or a.glog2 == b.glog2)


def disjoint(a: Descriptor, b: Descriptor) -> bool:
    """Disjoint bounding intervals (of the same region)."""
    a_low, a_high = bounds(a)
    b_low, b_high = bounds(b)
    return a_high <= b_low or b_high <= a_low


@lru_cache(maxsize=4096)
def distinct_elements(dtype: Dtype, extents: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether no two elements share a byte. Strides that nest (each passes over the span of the smaller ones) decide
    at once; for others the addresses are listed."""
    size = element_bytes(dtype)
    dimensions = list(zip(extents, strides, strict=True))
    if dtype in PACKED_4BIT:
        size = extents[0] // 2
        dimensions = dimensions[1:]
    dimensions = sorted(((e, abs(s)) for e, s in dimensions if e > 1), key=lambda item: item[1])
    span = size
    for extent, stride in dimensions:
        if stride < span:
            break
        span += (extent - 1) * stride
    else:
        return True
    if any(stride < size for _, stride in dimensions):
        return False
    total = 1 + sum((extent - 1) * stride for extent, stride in dimensions)
    count = int(np.prod([extent for extent, _ in dimensions], dtype=np.int64))
    if count * size > total + size:
        return False
    offsets = np.zeros(1, np.int64)
    for extent, stride in dimensions:
        offsets = (offsets[:, None] + np.arange(extent, dtype=np.int64) * stride).reshape(-1)
    offsets.sort()
    return bool((np.diff(offsets) >= size).all())
