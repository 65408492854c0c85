"""A weight matrix in DRAM: numbers of its rows, then the rows in blocks of 16. What the lowering reads and the packer writes.

Any run of blocks is a strip: how many rows are multiplied at once is left to the program, whose prefill and decoding choose otherwise.

Rows lie in blocks of 16 (docs/isa.md section 3), the order in which the matrix unit takes weights: a row of 64 int4 weights alone is
32 bytes, a quarter of what its port takes in a cycle. A block has the scales of its groups in front of it, so that a strip with them is
one run. 2:4 sparse rows have no blocked format: they lie row after row, behind the scales of all groups.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.formats import WeightFormat
from compiler.sizes import padded
from isa.spec import BLOCK_ROWS

WORD_BYTES, HALF_BYTES = 4, 2
BLOCKED_I8_COLUMNS = 4
"""Columns of an int8 row that lie together in a block."""


def stored_columns(form: WeightFormat, columns: int) -> int:
    """Columns of a row with those that fill its block."""
    return padded(columns, BLOCKED_I8_COLUMNS) if form.element == "i8" and not form.sparse else columns


def stored_rows(form: WeightFormat, rows: int) -> int:
    """Rows of a matrix with those that fill its last block."""
    return rows if form.sparse else padded(rows, BLOCK_ROWS)


def stored_row_bytes(form: WeightFormat, columns: int) -> int:
    """Bytes of a row in a block."""
    return form.row_bytes(stored_columns(form, columns))


@dataclass(frozen=True)
class WeightLayout:
    """Of a matrix of `rows` output rows of `columns` elements.

    One after the other, as far as the format has them: f32 scales of the rows, f32 biases, f16 scales and then offsets of the groups of
    sparse rows, rows. The numbers of groups (e8m0 scales of microscaled elements) are blocked like the rows; in front of rows in blocks
    they belong to the block. There is room for the numbers of all rows of the last block.

    k_tile: sparse rows are cut into tiles of so many columns, all rows of a tile follow each other; rows in blocks are never cut, as their
    columns follow each other anyway.
    """

    form: WeightFormat
    rows: int
    columns: int
    has_bias: bool
    k_tile: int = 0

    @property
    def blocks(self) -> int:
        return -(-self.rows // BLOCK_ROWS)

    @property
    def row_arrays(self) -> int:
        """How many numbers each row has: its scale, its bias."""
        return self.form.per_row + self.has_bias

    @property
    def row_array_bytes(self) -> int:
        """One of these numbers for all rows."""
        return self.blocks * BLOCK_ROWS * WORD_BYTES

    @property
    def groups(self) -> int:
        """Of a row."""
        return self.columns // self.form.group if self.form.group else 0

    @property
    def block_scales_bytes(self) -> int:
        """Scales of the groups of a block, or their offsets."""
        return BLOCK_ROWS * self.groups * self.form.scale_size_bytes if self.form.group else 0

    @property
    def block_numbers_bytes(self) -> int:
        """Of the groups of a block."""
        return self.block_scales_bytes * (1 + self.form.offsets)

    @property
    def block_bytes(self) -> int:
        """From one block to the next; of sparse rows only the rows."""
        own = 0 if self.form.sparse else self.block_numbers_bytes
        return own + BLOCK_ROWS * stored_row_bytes(self.form, self.columns)

    @property
    def numbers_start(self) -> int:
        """Of the groups of the first block."""
        return self.row_arrays * self.row_array_bytes

    @property
    def blocks_start(self) -> int:
        """Of the first block, or of the first sparse row."""
        return self.numbers_start + (self.blocks * self.block_numbers_bytes if self.form.sparse else 0)

    @property
    def size_bytes(self) -> int:
        if self.form.sparse:
            return self.blocks_start + self.rows * stored_row_bytes(self.form, self.columns)
        return self.blocks_start + self.blocks * self.block_bytes
