"""Ops that work row by row: embedding, norms, rotary embedding, the choice of rows."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.builder import Index, Place
from compiler.lowering.tensors import load_vector, vector_place
from compiler.lowering.values import Lowering, Tensor, dies_at


def lower_embed(low: Lowering, op: slmq.EmbedOp) -> None:
    """One row of the table per token id; ids are in SMEM."""
    b, dtype = low.builder, op.format.data
    columns = prod(op.weight.shape[1:])
    out = low.result(op.result, "hidden")
    staged = out if dtype == "f32" else low.new("embedding_rows", dtype, out.shape, low.rows)
    what = {
        "kind": StringAttr("rows"),
        "key": op.weight.key,
        "format": op.format,
        "rows": IntegerAttr(op.weight.shape[0], i64),
        "columns": IntegerAttr(columns, i64),
    }
    table = low.place(tile.WeightOp, what, op.weight.key.data)

    def row(index: SSAValue, _: list[SSAValue]) -> list[SSAValue]:
        token = b.lds(4, b.mul(index, 4), low.token_ids)
        source = Place("weight", offset=b.add(table, b.mul(token, staged.row_bytes)))
        target = Place("sram", staged.place.buffer, b.mul(index, staged.row_bytes))
        b.load(b.view(target, dtype, [columns]), b.view(source, dtype, [columns]))
        return []

    b.loop(0, low.rows, 1, row)
    if staged is not out:
        b.vun("mov", low.view(out), low.view(staged))
    low.values[op.result] = out


def vector(low: Lowering, weight: slm.WeightAttr, offset: float, label: str) -> Tensor:
    """A weight vector in f32, plus a constant, loaded into SRAM; one row."""
    size = prod(weight.shape)
    return Tensor(load_vector(low, vector_place(low, weight, offset), size, label), "f32", (size,), 1, shared=True)


def lower_rms_norm(low: Lowering, op: slmq.RmsNormOp) -> None:
    """y = (x / sqrt(sum(x*x) * (1/d) + eps)) * w."""
    b, x, axes = low.builder, low.values[op.x], op.axes.value.data
    outer, size = x.shape[: len(x.shape) - axes], prod(x.shape[len(x.shape) - axes :])
    rows = (*outer, size)
    weight = vector(low, op.weight, op.offset.value.data, "norm_weight")
    out, norm = low.result(op.result, "normed"), low.new("norm", "f32", (*outer, 1), low.rows)
    low.values[op.result] = out
    target, source, r = low.view(out, rows), low.view(x, rows), low.view(norm)
    b.vbin("mul", target, source, source)
    b.vred("sum", r, target)
    b.vbin("mul", r, r, 1 / size)
    b.vbin("add", r, r, op.eps.value.data)
    b.vun("sqrt", r, r)
    b.vbin("div", target, source, low.stretched(norm, rows))
    extents = [*reversed(rows), low.rows]
    b.vbin("mul", target, target, b.view(weight.place, "f32", extents, [4, *[0] * len(outer), 0]))


def load_rotary_tables(low: Lowering, rotary: slm.RotaryAttr) -> None:
    """The cos and sin rows of the chunk's positions, [chunk, dim/2] each, once per chunk for all layers."""
    b, half, context = low.builder, rotary.dim.data // 2, low.plan.context
    what = {"kind": StringAttr("rotary"), "rotary": rotary, "positions": IntegerAttr(context, i64)}
    source = Place("table", offset=b.add(low.place(tile.TableOp, what, "rotary"), b.mul(low.position, half * 4)))
    buffer = b.alloc("rotary", 2 * low.plan.chunk * half * 4)
    target = b.view(Place("sram", buffer), "f32", [half, low.rows, 2], [4, half * 4, low.plan.chunk * half * 4])
    b.load(target, b.view(source, "f32", [half, low.rows, 2], [4, half * 4, context * half * 4]))
    low.rotary_tables[rotary] = buffer


def lower_rope(low: Lowering, op: slmq.RopeOp) -> None:
    """t1 = x1*s; t2 = x2*s; y1 = x1*c - t2; y2 = x2*c + t1, in place."""
    b, half = low.builder, op.rotary.dim.data // 2
    x = low.values[op.x]
    if not dies_at(op.x, op):
        copy = low.result(op.result, "rotated")
        b.vun("mov", low.view(copy), low.view(x))
        x = copy
    low.values[op.result] = x
    heads, head_dim = x.shape
    extents = [half, heads, low.rows]
    strides = [4, head_dim * 4, x.row_bytes]
    x1, x2 = (b.view(x.place, "f32", extents, strides, offset) for offset in (0, half * 4))
    table = Place("sram", low.rotary_tables[op.rotary])
    cos, sin = (b.view(table, "f32", extents, [4, 0, half * 4], part * low.plan.chunk * half * 4) for part in (0, 1))
    t1, t2 = (low.view(low.new("rotary_temp", "f32", (heads, half), low.rows)) for _ in range(2))
    b.vbin("mul", t1, x1, sin)
    b.vbin("mul", t2, x2, sin)
    b.vmad("msub", x1, x1, cos, t2)
    b.vmad("mad", x2, x2, cos, t1)


def lower_select_rows(low: Lowering, op: slmq.SelectRowsOp, wanted: Index) -> None:
    """Copies the last `wanted` rows to a buffer of their own; what follows works on these."""
    b, x = low.builder, low.values[op.x]
    skipped = b.mul(b.sub(x.rows, wanted), x.row_bytes)
    source = Tensor(Place("sram", x.place.buffer, skipped), x.dtype, x.shape, wanted)
    low.rows = wanted
    out = low.result(op.result, "selected")
    b.vun("mov", low.view(out), low.view(source))
    low.values[op.result] = out
