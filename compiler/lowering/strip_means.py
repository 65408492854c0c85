"""Means of rows, summed up by the strips that make them: a layer norm behind the strips need not read its rows for that.

A sum goes by quanta of 32 columns, in ascending order (docs/numerics.md, section 2), and strips have whole quanta and come in this order.
"""

from __future__ import annotations

from math import prod

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm import row_shape
from compiler.lowering.builder import Place, element_bytes, place_of
from compiler.lowering.row_stages import norm_in_front
from compiler.lowering.strip_buffers import Strip
from compiler.lowering.strip_shapes import strip_shapes
from compiler.lowering.values import Lowering
from isa.spec import SUM_QUANTUM

F32_BYTES = element_bytes("f32")


def has_mean(low: Lowering, op: slmq.StripsOp, out: SSAValue) -> bool:
    """Whether the region right behind a group begins with a layer norm of rows that the group writes to DRAM, by strips of whole quanta."""
    region = op.next_op
    if not isinstance(region, slmq.RowsOp) or out not in low.spilled or out not in region.operands_read:
        return False
    norm = norm_in_front(low, region)
    rows, columns = {shape.rows for shape in strip_shapes(low.plan, op).values()}, op.columns.value.data
    is_whole = all(count % SUM_QUANTUM == 0 and columns % count == 0 for count in rows)
    return norm is not None and norm.x is region.body.block.args[region.operands_read.index(out)] and is_whole


class StripMeans:
    """Of one value, rows of `columns` numbers; a strip has `strip_columns`."""

    def __init__(self, low: Lowering, out: SSAValue, strip_columns: int):
        self.low, self.b = low, low.builder
        self.quanta, self.columns = strip_columns // SUM_QUANTUM, prod(row_shape(out))
        self.means = low.new("row_means", "f32", (1,), low.rows)
        self.quantum_bytes = low.most_rows * F32_BYTES
        self.parts = Place("sram", self.b.alloc("strip_sums", self.quanta * self.quantum_bytes))
        self.b.vun("mov", low.view(self.means), 0.0)

    def add(self, columns: SSAValue, strip: Strip) -> None:
        """The columns of a strip, in its buffer."""
        b, rows, sums = self.b, self.low.rows, self.low.view(self.means)
        strides = [F32_BYTES, SUM_QUANTUM * F32_BYTES, strip.rows * F32_BYTES]
        source = b.view(place_of(b, columns), "f32", [SUM_QUANTUM, self.quanta, rows], strides)
        parts = b.view(self.parts, "f32", [1, self.quanta, rows], [F32_BYTES, self.quantum_bytes, F32_BYTES])
        b.vred("sum", parts, source)
        for number in range(self.quanta):
            part = b.view(self.parts, "f32", [1, rows], [F32_BYTES, F32_BYTES], number * self.quantum_bytes)
            b.vbin("add", sums, sums, part)

    def end(self) -> None:
        """Behind the last strip: sum(x) * (1/d)."""
        means = self.low.view(self.means)
        self.b.vbin("mul", means, means, 1 / self.columns)
