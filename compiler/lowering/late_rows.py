"""Rows that are quantised late: not before the product that reads them, but tile by tile beside it (wide_products.py).

A row's scale is known when its last number is. So the strips that make the rows keep the largest number of each row, and write the rows
to DRAM; the last columns stay in SRAM, for the product to begin with.
"""

from __future__ import annotations

from dataclasses import replace

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.lowering.builder import Index, Place, element_bytes, place_of
from compiler.lowering.elementwise import SMALLEST_RANGE
from compiler.lowering.spilling import blocks_view, staged_view
from compiler.lowering.strip_buffers import Strip
from compiler.lowering.strip_members import blocks_of
from compiler.lowering.strip_shapes import wide_shape_of
from compiler.lowering.values import Lowering, Tensor


class LateRows:
    """Of one value. `rows`: where it lies in DRAM."""

    def __init__(self, low: Lowering, rows: Tensor, reader: slmq.MatmulOp):
        self.low, self.b, self.rows = low, low.builder, rows
        self.shape = wide_shape_of(low.plan, reader)
        self.scale = low.new("row_scale", "f32", (1,), low.rows)
        self.largest = low.new("strip_amax", "f32", (1,), low.rows)
        self.tail = Place("sram", self.b.alloc("last_columns", low.most_rows * self.shape.tail * element_bytes("f32")))
        self.inverse: Tensor | None = None
        self.b.vun("mov", low.view(self.scale), 0.0)

    def store(self, columns: SSAValue, strip: Strip) -> None:
        """A strip that has been made: to DRAM, or to the columns that stay."""
        low, b = self.low, self.b
        b.vred("amax", low.view(self.largest), columns)
        b.vbin("max", low.view(self.scale), low.view(self.scale), low.view(self.largest))

        def keep() -> None:
            b.vun("mov", self.tail_view(b.sub(strip.first, self.shape.tail_start), strip.count), columns)

        def write() -> None:
            outside, inside = blocks_of(low, self.rows, strip)
            b.store(outside, inside(place_of(b, columns)))

        b.when(b.compare("slt", strip.first, self.shape.tail_start), write, keep)

    def tail_view(self, first: Index, count: Index) -> SSAValue:
        """Columns of those in SRAM, [count, tokens]."""
        size = element_bytes("f32")
        strides = [size, self.shape.tail * size]
        return self.b.view(self.tail, "f32", [count, self.low.rows], strides, self.b.mul(first, size))

    def end(self) -> None:
        """The scales of the rows, and what their numbers are multiplied by: lower_quantize."""
        low, b = self.low, self.b
        self.inverse = low.filled(self.scale, 127.0)
        b.vbin("max", low.view(self.scale), low.view(self.scale), SMALLEST_RANGE)
        low.divide(self.inverse, self.scale)
        b.vbin("mul", low.view(self.scale), low.view(self.scale), 1 / 127)

    def quantized(self) -> Tensor:
        """The result by name: it is nowhere as a whole."""
        return replace(self.rows, dtype="i8")

    def quantize(self, target: SSAValue, source: SSAValue, count: Index) -> None:
        """`count` columns of all rows."""
        assert self.inverse is not None
        inverse = self.b.view(self.inverse.place, "f32", [count, self.low.rows], [0, self.inverse.row_bytes])
        self.b.vbin("mul", target, source, inverse)

    def load(self, place: Place, first: Index, count: Index) -> SSAValue:
        """Columns from DRAM, to a buffer for a part of a tile; [count, tokens]."""
        low, b, size = self.low, self.b, element_bytes("f32")
        row_bytes, blocks = self.shape.part * size, b.div(count, self.shape.block)
        outside = blocks_view(low, self.rows, (0, low.rows), b.div(first, self.shape.block), blocks)
        b.load(staged_view(low, place, self.rows, row_bytes, low.rows, blocks), outside)
        return b.view(place, "f32", [count, low.rows], [size, row_bytes])


def lower_late_rows(low: Lowering, op: slmq.RowsOp) -> None:
    """A region that quantises late: all that is done now is the scales."""
    late = low.late[op.operands_read[0]]
    late.end()
    low.values[op.outs[0]], low.values[op.outs[1]] = late.quantized(), late.scale
