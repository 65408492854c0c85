"""Where a tile of a single row asks for weights before they are used.

Each block of its tile is a stream. Behind the end of a stream come the same stream of the part's next tile and, behind its last
tile, that of the part's first tile in the next product: weights follow each other in the file as products do in the program. So
the lines that a part asks for are its own, also where another thread does the part behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.spec import BLOCK_ROWS
from simulator.fast.kernels.lanes import Value
from simulator.fast.kernels.matrix_code import PREFETCH_BYTES
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P


@dataclass(frozen=True)
class Ahead:
    """`stream_bytes`: of a block; jump: bytes from its end to where its stream goes on."""

    stream_bytes: Value
    jump: Value

    def distance(self, offset: Value) -> Value:
        """How far in front of the weights `offset` bytes behind the beginning of a block to ask."""
        near = self.jump.like(PREFETCH_BYTES)
        return (offset + PREFETCH_BYTES < self.stream_bytes).choose(near, near + self.jump)


def ahead_of(rows: Rows, block: Value, blocks: int) -> Ahead:
    """Of a tile of some blocks."""
    code, step = rows.code, rows.code.parameter(P.B_BLOCK)
    total = (code.parameter(P.COLUMNS) + (BLOCK_ROWS - 1)) // BLOCK_ROWS
    is_last = rows.block_end <= block + blocks
    following = total * (step + code.parameter(P.S_BLOCK)) + (rows.block - block) * step
    return Ahead(step, is_last.choose(following, step * blocks) - step)
