"""Blocked rows: weights and their scales in blocks of 16 rows (docs/isa.md section 3), the order in which the matrix unit takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from isa import spec
from isa.spec import BLOCK_ROWS

Bytes = NDArray[np.uint8]
QUADS = tuple(dtype.name.lower() for dtype in spec.QUADS)
"""Elements of which a row of a block holds four bytes at once: 4 columns of 8 bits, 8 of 4 bits packed in groups of 8."""
NIBBLES = tuple(dtype.name.lower() for dtype in spec.PACKED_4BIT)
QUAD_BYTES = 4
NIBBLE_GROUP = 8
"""Columns of 4 bits that lie together in a block: byte i of four holds columns i and i + 4."""


def block_rows(rows: NDArray[Any]) -> Bytes:
    """Rows [N, C] of numbers of 1, 2 or 4 bytes as blocks [N / 16][C][16]; a last block is filled with zeros."""
    count, columns = rows.shape
    missing = -count % BLOCK_ROWS
    if missing:
        rows = np.concatenate([rows, np.zeros((missing, columns), rows.dtype)])
    blocks = rows.reshape(-1, BLOCK_ROWS, columns).transpose(0, 2, 1)
    return np.ascontiguousarray(blocks).reshape(-1).view(np.uint8)


def block_packed(rows: Bytes) -> Bytes:
    """Rows of bytes [N, C] as blocks [N / 16][C / 4][16][4]; columns are filled to fours with zeros."""
    missing = -rows.shape[1] % QUAD_BYTES
    if missing:
        rows = np.concatenate([rows, np.zeros((len(rows), missing), np.uint8)], axis=1)
    return block_rows(np.ascontiguousarray(rows).view(np.uint32))


def unblock_rows(blocks: NDArray[Any]) -> NDArray[Any]:
    """The rows [.., N, C] of blocks [.., N / 16, C, 16]."""
    *outer, count, columns, _ = blocks.shape
    return blocks.swapaxes(-1, -2).reshape(*outer, count * BLOCK_ROWS, columns)
