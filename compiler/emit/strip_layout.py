"""A weight strip in DRAM: a header, then the strip's rows, whole or cut into k-tiles. What the lowering reads and the packer writes.

Rows lie in blocks of 16 (docs/isa.md section 3), the order in which the matrix unit takes weights: a row of 64 int4 weights alone is
32 bytes, a quarter of what its port takes in a cycle. 2:4 sparse rows have no blocked format and lie row after row.
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
    """Bytes of a row in a strip."""
    return form.row_bytes(stored_columns(form, columns))


@dataclass(frozen=True)
class StripLayout:
    """Of strips of `rows` output rows (whole blocks) of `columns` elements.

    The header has, one after the other as far as the format has them: f32 scales of the rows, f32 biases, f16 scales of the
    groups (e8m0 of microscaled elements), f16 offsets of the groups; scales and offsets of groups are blocked like the rows. There
    is always room for all rows.
    """

    form: WeightFormat
    rows: int
    columns: int
    has_bias: bool

    @property
    def groups(self) -> int:
        """Of a row."""
        return self.columns // self.form.group if self.form.group else 0

    @property
    def group_numbers_bytes(self) -> int:
        """The scales of all groups, or their offsets."""
        return self.rows * self.groups * self.form.scale_size_bytes

    @property
    def bias_offset(self) -> int:
        return self.rows * WORD_BYTES if self.form.per_row else 0

    @property
    def group_scales_offset(self) -> int:
        return self.bias_offset + (self.rows * WORD_BYTES if self.has_bias else 0)

    @property
    def group_offsets_offset(self) -> int:
        return self.group_scales_offset + self.group_numbers_bytes

    @property
    def header_bytes(self) -> int:
        return self.group_offsets_offset + (self.group_numbers_bytes if self.form.offsets else 0)

    @property
    def strip_bytes(self) -> int:
        """From one strip to the next."""
        return self.header_bytes + self.rows * stored_row_bytes(self.form, self.columns)
