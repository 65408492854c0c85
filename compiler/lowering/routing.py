"""Softmax, sums, choices and columns: docs/numerics.md sections 8 and 11."""

from __future__ import annotations

from math import inf, prod

from xdsl.ir import SSAValue

from compiler.dialects import slmq, tile
from compiler.dialects.slm import row_shape
from compiler.lowering.builder import Index, Place
from compiler.lowering.values import Lowering, Tensor, dies_at

ENTRY_BYTES = 8  # of a list of vtopk: an f32 value and its i32 index
INDEX_BYTES = 4  # from the value to the index


def lower_softmax(low: Lowering, op: slmq.SoftmaxOp) -> None:
    """m = max(x); e = exp(x - m); y = e * (1 / sum(e)). In place where x dies here."""
    b, x = low.builder, low.values[op.x]
    out = x if dies_at(op.x, op) else low.result(op.result, "softmax")
    low.values[op.result] = out
    row = low.new("softmax_row", "f32", (*x.shape[:-1], 1), low.rows)
    target, whole, word = low.view(out), low.stretched(row, x.shape), low.view(row)
    b.vred("max", word, low.view(x))
    b.vbin("sub", target, low.view(x), whole)
    b.vun("exp", target, target)
    ones = low.filled(row, 1.0)
    b.vred("sum", word, target)
    b.vbin("mul", target, target, low.stretched(low.divide(ones, row), x.shape))


def lower_reduce_sum(low: Lowering, op: slmq.ReduceSumOp) -> None:
    out = low.result(op.result, "sum")
    low.values[op.result] = out
    low.builder.vred("sum", low.view(out), low.view(low.values[op.x]))


def lower_column(low: Lowering, op: slmq.ColumnOp) -> None:
    """Copies one element of each row."""
    b, x = low.builder, low.values[op.x]
    out = low.result(op.result, "column")
    low.values[op.result] = out
    index = low.expert if op.index is None else op.index.value.data
    strides = [4 * prod(x.shape[dim:]) for dim in range(len(x.shape), 0, -1)]
    extents: list[Index] = [1, *reversed(x.shape[:-1]), low.rows]
    b.vun("mov", low.view(out), b.view(x.place, "f32", extents, [*strides, x.row_bytes], b.mul(index, 4)))


def lower_top_k(low: Lowering, op: slmq.TopKOp) -> None:
    """One list in SMEM for each row; then the values of the chosen ones go where they came from, among zeros."""
    b, x, count = low.builder, low.values[op.x], op.count.value.data
    outer, size = x.shape[:-1], x.shape[-1]
    lists = choices(low, op.chosen)
    low.values[op.chosen] = lists
    rows, row_bytes = b.mul(low.rows, prod(outer)), count * ENTRY_BYTES
    b.vun("mov", b.view(lists.place, "f32", [2 * count, rows], [4, row_bytes]), -inf)

    def merge(row: SSAValue, _: list[SSAValue]) -> list[Index]:
        entries = b.view(lists.place, "f32", [count], [ENTRY_BYTES], b.mul(row, row_bytes))
        values = b.view(x.place, "f32", [size], [4], b.mul(row, size * 4))
        b.insert(tile.VtopkOp(operands=[entries, values, b.value(0)]))
        return []

    b.loop(0, rows, 1, merge)
    out = x if dies_at(op.x, op) else low.result(op.result, "kept")
    low.values[op.result] = out
    b.vun("mov", low.view(out), 0.0)
    scatter(low, out, lists.place, rows, count)


def choices(low: Lowering, chosen: SSAValue) -> Tensor:
    """Lists of vtopk in SMEM: entries of two words, the value and its index. Where they are wanted, or in a fresh buffer."""
    if chosen in low.targets:
        return low.targets[chosen]
    shape = row_shape(chosen)
    buffer = low.builder.alloc("choices", low.most_rows * prod(shape) * ENTRY_BYTES, "smem")
    return Tensor(Place("smem", buffer), "i32", (*shape, 2), low.rows)


def scatter(low: Lowering, out: Tensor, lists: Place, rows: Index, count: int) -> None:
    """out[row, index] = value for each entry of the rows' lists; an entry without a candidate has the index -1."""
    b, size = low.builder, out.shape[-1]

    def entry(row: SSAValue, offset: Index) -> None:
        index = b.lds(4, b.add(lists.offset, offset), lists.buffer, INDEX_BYTES)  # -1 reads as 2^32 - 1

        def put() -> None:
            target = b.add(b.mul(row, size * 4), b.mul(index, 4))
            b.vun("mov", b.view(out.place, "f32", [1], offset=target), b.view(lists, "f32", [1], offset=offset))

        b.when(b.compare("slt", index, size), put)

    def each(row: SSAValue, _: list[SSAValue]) -> list[Index]:
        first = b.mul(row, count * ENTRY_BYTES)

        def step(offset: SSAValue, _: list[SSAValue]) -> list[Index]:
            entry(row, b.add(first, offset))
            return []

        b.loop(0, count * ENTRY_BYTES, ENTRY_BYTES, step)
        return []

    b.loop(0, rows, 1, each)
