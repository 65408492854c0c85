"""Ops that work row by row: embedding, rotary embedding, the choice of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.interpreters.rotary import table_lengths
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.values import Lowering, dies_at


def row_table(low: Lowering, weight: slm.WeightAttr, number_format: StringAttr) -> SSAValue:
    """The offset of a table that lies in DRAM row by row."""
    what = {
        "kind": StringAttr("rows"),
        "key": weight.key,
        "format": number_format,
        "rows": IntegerAttr(weight.shape[0], i64),
        "columns": IntegerAttr(prod(weight.shape[1:]), i64),
    }
    return low.place(tile.WeightOp, what, weight.key.data)


def lower_embed(low: Lowering, op: slmq.EmbedOp) -> None:
    """One row of the table per token id; ids are in SMEM."""
    b, dtype = low.builder, op.format.data
    columns = prod(op.weight.shape[1:])
    out = low.result(op.result, "hidden")
    staged = out if dtype == "f32" else low.new("embedding_rows", dtype, out.shape, low.rows)
    table = row_table(low, op.weight, op.format)

    def row(index: SSAValue, _: list[SSAValue]) -> list[SSAValue]:
        token = b.lds(4, b.mul(b.add(b.add(index, low.first_row), low.skipped), 4), low.token_ids)
        source = Place("weight", offset=b.add(table, b.mul(token, staged.row_bytes)))
        target = replace(staged.place, offset=b.add(staged.place.offset, b.mul(index, staged.row_bytes)))
        b.load(b.view(target, dtype, [columns]), b.view(source, dtype, [columns]))
        return []

    b.loop(0, low.rows, 1, row)
    if staged is not out:
        b.vun("mov", low.view(out), low.view(staged))
    low.values[op.result] = out


def load_rotary_tables(low: Lowering, rotary: slm.RotaryAttr) -> None:
    """The cos and sin rows of the chunk's positions, [chunk, dim/2] each, once per chunk for all layers.

    Where the frequencies depend on the length of the sequence, the device chooses among tables.
    """
    b = low.builder
    buffer = b.alloc("rotary", low.plan.chunk * rotary.dim.data * 4)
    low.rotary_tables[rotary] = buffer

    def choose(lengths: tuple[int, ...]) -> None:
        if len(lengths) == 1:
            load_rotary_rows(low, rotary, lengths[0], buffer)
            return
        fits = b.compare("sle", b.add(low.position, low.available), lengths[0])
        b.when(fits, lambda: load_rotary_rows(low, rotary, lengths[0], buffer), lambda: choose(lengths[1:]))

    choose(table_lengths(rotary, low.plan.context))


def load_rotary_rows(low: Lowering, rotary: slm.RotaryAttr, length: int, buffer: SSAValue) -> None:
    """The rows of the chunk from the table for sequences of up to `length` tokens."""
    b, half = low.builder, rotary.dim.data // 2
    what = {"kind": StringAttr("rotary"), "rotary": rotary, "positions": IntegerAttr(length, i64)}
    source = Place("table", offset=b.add(low.place(tile.TableOp, what, "rotary"), b.mul(low.position, half * 4)))
    target = b.view(Place("sram", buffer), "f32", [half, low.rows, 2], [4, half * 4, low.plan.chunk * half * 4])
    b.load(target, b.view(source, "f32", [half, low.rows, 2], [4, half * 4, length * half * 4]))


def lower_rope(low: Lowering, op: slmq.RopeOp) -> None:
    """t1 = x1*s; t2 = x2*s; y1 = x1*c - t2; y2 = x2*c + t1, in place."""
    b, half = low.builder, op.rotary.dim.data // 2
    x = low.values[op.x]
    if op.result in low.targets or not dies_at(op.x, op):
        copy = low.result(op.result, "rotated")
        b.vun("mov", low.view(copy), low.view(x))
        x = copy
    low.values[op.result] = x
    heads, head_dim = x.shape
    temps = [low.view(low.new("rotary_temp", "f32", (heads, half), low.rows)) for _ in range(2)]
    rotate(low, op.rotary, x.place, heads, (head_dim * 4, x.row_bytes), temps)


def rotate(
    low: Lowering,
    rotary: slm.RotaryAttr,
    place: Place,
    heads: Index,
    strides_bytes: tuple[int, int],
    temps: Sequence[SSAValue],
) -> None:
    """Rotates f32 heads in place; `strides_bytes`: from head to head and from row to row. `temps`: two views of their halves."""
    b, half = low.builder, rotary.dim.data // 2
    extents: list[Index] = [half, heads, low.rows]
    x1, x2 = (b.view(place, "f32", extents, [4, *strides_bytes], offset) for offset in (0, half * 4))
    table = Place("sram", low.rotary_tables[rotary])
    first = b.mul(low.first_row, half * 4)
    cos, sin = (
        b.view(table, "f32", extents, [4, 0, half * 4], b.add(first, part * low.plan.chunk * half * 4))
        for part in (0, 1)
    )
    t1, t2 = temps
    b.vbin("mul", t1, x1, sin)
    b.vbin("mul", t2, x2, sin)
    b.vmad("msub", x1, x1, cos, t2)
    b.vmad("mad", x2, x2, cos, t1)


def lower_select_rows(low: Lowering, op: slmq.SelectRowsOp, wanted: Index) -> None:
    """Copies the last `wanted` rows to a buffer of their own; what follows works on these. Lists in SMEM stay where they are, and
    tensors in SCRATCH."""
    b, x = low.builder, low.values[op.x]
    if x.block:
        skipped = b.mul(b.sub(x.rows, wanted), x.block * element_bytes(x.dtype))
        low.values[op.result] = replace(x, place=Place("scratch", offset=b.add(x.place.offset, skipped)), rows=wanted)
        low.rows = wanted
        return
    skipped = b.mul(b.sub(x.rows, wanted), x.row_bytes)
    source = replace(x, place=replace(x.place, offset=b.add(x.place.offset, skipped)), rows=wanted)
    low.rows = wanted
    if x.place.space == "smem":
        low.values[op.result] = source
        return
    out = low.result(op.result, "selected")
    b.vun("mov", low.view(out), low.view(source))
    low.values[op.result] = out
