"""How the rows of an image get among the tokens' rows, and normalised rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import slmq, tile
from compiler.dialects.slm import shape_of
from compiler.lowering.builder import Index, Place
from compiler.lowering.values import Lowering, dies_at

PLACES = "places"
SMALLEST_NORM = 1e-12


def image_rows_place(low: Lowering, shape: Sequence[int]) -> Place:
    """Where the encoded rows [n, ..] lie, f32 in KV: what encode_image leaves for the generate loop."""
    what = {
        "name": StringAttr("image"),
        "part": StringAttr("rows"),
        "size_bytes": IntegerAttr(4 * prod(shape), i64),
    }
    return Place("kv", offset=low.builder.place(tile.StateOp, what, None))


def lower_replace(low: Lowering, op: slmq.ReplaceOp) -> None:
    """Rows whose place, a word of the host in IO, is that of an image row are loaded over; -1 reads as 2^32 - 1."""
    b, shape = low.builder, shape_of(op.rows)
    out = low.values[op.x]
    if op.result in low.targets or not dies_at(op.x, op):
        out = low.result(op.result, "replaced")
        b.vun("mov", low.view(out), low.view(low.values[op.x]))
    low.values[op.result] = out
    rows = image_rows_place(low, shape)
    what = {"name": StringAttr(PLACES), "size_bytes": IntegerAttr(4 * low.plan.context, i64)}
    source = Place("io", offset=b.add(b.place(tile.InputOp, what, None), b.mul(low.position, 4)))
    places = b.alloc(PLACES, low.most_rows * 4, "smem")
    b.load(b.view(Place("smem", places), "i32", [low.rows]), b.view(source, "i32", [low.rows]))

    def row(index: SSAValue, _: list[SSAValue]) -> list[Index]:
        place = b.lds(4, b.mul(index, 4), places)

        def take() -> None:
            target = Place("sram", out.place.buffer, b.add(out.place.offset, b.mul(index, out.row_bytes)))
            taken = Place("kv", offset=b.add(rows.offset, b.mul(place, out.row_bytes)))
            b.load(b.view(target, "f32", [out.columns]), b.view(taken, "f32", [out.columns]))

        b.when(b.compare("slt", place, shape[0]), take)
        return []

    b.loop(0, low.rows, 1, row)


def lower_l2_normalize(low: Lowering, op: slmq.L2NormalizeOp) -> None:
    """y = x * (1 / max(sqrt(sum(x*x)), 1e-12)) over the last dimension."""
    b, x = low.builder, low.values[op.x]
    out, norm = low.result(op.result, "normalized"), low.new("norm", "f32", (*x.shape[:-1], 1), low.rows)
    low.values[op.result] = out
    ones = low.filled(norm, 1.0)
    b.vbin("mul", low.view(out), low.view(x), low.view(x))
    b.vred("sum", low.view(norm), low.view(out))
    b.vun("sqrt", low.view(norm), low.view(norm))
    b.vbin("max", low.view(norm), low.view(norm), SMALLEST_NORM)
    b.vbin("mul", low.view(out), low.view(x), low.stretched(low.divide(ones, norm), x.shape))
