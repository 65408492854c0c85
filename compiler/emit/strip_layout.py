"""A weight strip in DRAM: a header, then the strip's rows, whole or cut into k-tiles. What the lowering reads and the packer writes."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.formats import WeightFormat

WORD_BYTES, HALF_BYTES = 4, 2


@dataclass(frozen=True)
class StripLayout:
    """Of strips of `rows` output rows of `columns` elements.

    The header has, one after the other as far as the format has them: f32 scales of the rows, f32 biases, f16 scales of the
    groups [rows, columns / group], f16 offsets of the groups. There is always room for all rows.
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
    def bias_offset(self) -> int:
        return self.rows * WORD_BYTES if self.form.per_row else 0

    @property
    def group_scales_offset(self) -> int:
        return self.bias_offset + (self.rows * WORD_BYTES if self.has_bias else 0)

    @property
    def group_offsets_offset(self) -> int:
        return self.group_scales_offset + self.rows * self.groups * HALF_BYTES

    @property
    def header_bytes(self) -> int:
        return self.group_offsets_offset + (self.rows * self.groups * HALF_BYTES if self.form.offsets else 0)

    @property
    def strip_bytes(self) -> int:
        """From one strip to the next."""
        return self.header_bytes + self.rows * self.form.row_bytes(self.columns)
