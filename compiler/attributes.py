"""Attributes that ops have again and again, made once: they never change, and making and verifying one takes as long as making an op.

The caches are bounded, since one process may compile many models.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from xdsl.dialects.builtin import DenseArrayBase, IndexType, IntegerAttr, IntegerType, StringAttr, i32, i64

MOST = 1 << 14
INDEX = IndexType()
SEGMENT_SIZES = "operandSegmentSizes"


@lru_cache(MOST)
def index_number(value: int) -> IntegerAttr[IndexType]:
    """The value of a constant of type index."""
    return IntegerAttr(value, INDEX)


@lru_cache(MOST)
def number(value: int) -> IntegerAttr[IntegerType]:
    """`value : i64`"""
    return IntegerAttr(value, i64)


@lru_cache(MOST)
def numbers(values: tuple[int, ...]) -> DenseArrayBase[IntegerType]:
    """`array<i64: ..>`"""
    return DenseArrayBase.from_list(i64, values)


def numbers_in(array: DenseArrayBase[IntegerType]) -> tuple[int, ...]:
    """Of an array of i64."""
    return unpacked(array.data.data)


@lru_cache(MOST)
def unpacked(data: bytes) -> tuple[int, ...]:
    """Numbers of 64 bits, as an array attribute keeps them."""
    return struct.unpack(f"<{len(data) // 8}q", data)


@lru_cache(MOST)
def text(value: str) -> StringAttr:
    return StringAttr(value)


@lru_cache(MOST)
def segment_sizes(sizes: tuple[int, ...]) -> DenseArrayBase[IntegerType]:
    """The property SEGMENT_SIZES of an op with optional or repeated operands: how many each operand definition has."""
    return DenseArrayBase.from_list(i32, sizes)
