"""Rows that depend on the position alone: consecutive rows of a table, so that one load brings a whole chunk's."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64

from compiler.dialects import slmq, tile
from compiler.dialects.slm import shape_of
from compiler.errors import CompileError
from compiler.locations import source_of
from compiler.lowering.builder import Place
from compiler.lowering.rows import row_table
from compiler.lowering.values import Lowering, Tensor


def load_rows(low: Lowering, target: Tensor, table: Place) -> None:
    """Rows pos .. pos + rows - 1 of a table whose rows are those of `target`."""
    b, columns = low.builder, prod(target.shape)
    source = Place(table.space, offset=b.add(table.offset, b.mul(low.position, target.row_bytes)))
    b.load(low.view(target, (columns,)), b.view(source, target.dtype, [columns, low.rows]))


def lower_position_rows(low: Lowering, op: slmq.PositionRowsOp) -> None:
    """Rows of a learned table. Raises CompileError if the context is longer than the table."""
    rows, offset, dtype = op.weight.shape[0], op.offset.value.data, op.format.data
    if low.plan.context + offset > rows:
        raise CompileError(
            f'a context of {low.plan.context} is longer than the {rows - offset} positions of "{op.weight.key.data}"',
            source_of(op.location),
        )
    out = low.result(op.result, "position_rows")
    low.values[op.result] = out
    staged = out if dtype == "f32" else low.new("stored_rows", dtype, out.shape, low.rows)
    first = low.builder.add(row_table(low, op.weight, op.format), offset * staged.row_bytes)
    load_rows(low, staged, Place("weight", offset=first))
    if staged is not out:
        low.builder.vun("mov", low.view(out), low.view(staged))


def lower_sinusoid(low: Lowering, op: slmq.SinusoidOp) -> None:
    """Rows of a constant table that begins with the first position of the context."""
    out = low.result(op.result, "sinusoid")
    low.values[op.result] = out
    what = {
        "kind": StringAttr("sinusoid"),
        "columns": IntegerAttr(shape_of(op.result)[1], i64),
        "first": op.offset,
        "positions": IntegerAttr(low.plan.context, i64),
    }
    load_rows(low, out, Place("table", offset=low.place(tile.TableOp, what, "sinusoid")))
