"""Rounding sizes up; the interlock granule that places in SRAM and DRAM are multiples of."""

from __future__ import annotations

GRANULE_BYTES = 64


def padded(size: int, unit: int) -> int:
    """The next multiple of `unit`."""
    return -(-size // unit) * unit


def to_granules(size_bytes: int) -> int:
    """The next multiple of the granule."""
    return padded(size_bytes, GRANULE_BYTES)


def ceil_div(numerator: int, denominator: int) -> int:
    """The quotient rounded up."""
    return -(-numerator // denominator)
