"""Packed storage of 4-bit rows and of 2:4 sparse rows: docs/isa.md section 3."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int8]
BIAS = 8
"""A nibble stores value + 8."""
SPARSE_COLUMNS, KEPT = 4, 2
"""Of four columns two are kept."""


def pack_codes(codes: Bytes, group: int) -> Bytes:
    """Nibbles [.., n], n a multiple of `group`, as [.., n / 2]: byte i of a group holds elements i and i + group / 2."""
    unit = np.uint32 if group % 8 == 0 else np.uint8  # four codes at a time: none has bits that leave its byte
    units = np.ascontiguousarray(codes).view(unit)
    halves = units.reshape(*units.shape[:-1], -1, 2, group // 2 // units.itemsize)
    packed = halves[..., 1, :] << unit(4)
    packed |= halves[..., 0, :]
    return packed.reshape(*codes.shape[:-1], -1).view(np.uint8)


def unpack_codes(stored: Bytes, group: int) -> Bytes:
    """The nibbles [.., n] of bytes [.., n / 2]."""
    halves = stored.reshape(*stored.shape[:-1], -1, 1, group // 2)
    codes = np.concatenate([halves & np.uint8(15), halves >> np.uint8(4)], axis=-2)
    return codes.reshape(*stored.shape[:-1], -1)


def pack_i4(values: NDArray[Any], group: int) -> Bytes:
    """Values [.., n] in -8 .. 7 as [.., n / 2]."""
    return pack_codes((values.astype(np.int8, copy=False) + np.int8(BIAS)).view(np.uint8), group)


def unpack_i4(stored: Bytes, group: int) -> Integers:
    """The values [.., n] of bytes [.., n / 2]."""
    return unpack_codes(stored, group).astype(np.int8) - np.int8(BIAS)


def pack_elements(values: NDArray[Any], element: str, group: int) -> Bytes:
    """Rows of i8 or e4m3, [.., n] bytes, or of i4 or e2m1, [.., n / 2]."""
    if element == "i4":
        return pack_i4(values, group)
    return pack_codes(values, group) if element == "e2m1" else values.view(np.uint8)


def unpack_elements(stored: NDArray[Any], element: str, group: int) -> NDArray[Any]:
    """The integers of i8 and i4, the codes of e4m3 and e2m1."""
    if element == "i4":
        return unpack_i4(stored, group)
    return unpack_codes(stored, group) if element == "e2m1" else stored


def kept_columns(values: Integers) -> NDArray[np.intp]:
    """Which columns [N, K / 2] a 2:4 sparse row keeps, ascending: those that are not 0, then the first others of each four."""
    fours = values.reshape(len(values), -1, SPARSE_COLUMNS) == 0
    order = np.sort(np.argsort(fours, axis=-1, kind="stable")[..., :KEPT], axis=-1)
    starts = np.arange(fours.shape[1])[:, None] * SPARSE_COLUMNS
    return (order + starts).reshape(len(values), -1)


def pack_sparse(values: Integers, element: str) -> Bytes:
    """Sparse rows [N, K] of i8 or i4: the kept values, then their 2-bit positions, four to a byte. Kept i4 values lie in pairs."""
    columns = kept_columns(values)
    kept = np.take_along_axis(values, columns, axis=1)
    stored = kept.view(np.uint8) if element == "i8" else pack_i4(kept, 2)
    codes = (columns % SPARSE_COLUMNS).astype(np.uint8).reshape(len(values), -1, 4) << np.arange(
        0, 8, 2, dtype=np.uint8
    )
    return np.concatenate([stored, np.bitwise_or.reduce(codes, axis=-1)], axis=1)


def unpack_sparse(stored: Bytes, columns: int, element: str) -> tuple[Integers, NDArray[np.intp]]:
    """The kept values of rows [.., bytes] and the columns they belong to, both [.., columns / 2]."""
    split = stored.shape[-1] - columns // 8
    values = stored[..., :split].view(np.int8) if element == "i8" else unpack_i4(stored[..., :split], 2)
    codes = stored[..., split:, None] >> np.arange(0, 8, 2, dtype=np.uint8) & 3
    starts = np.arange(columns // KEPT) // KEPT * SPARSE_COLUMNS
    return values, codes.reshape(*stored.shape[:-1], -1).astype(np.intp) + starts
