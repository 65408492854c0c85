"""Regions that work row by row: at once where all their values are in SRAM, else on a few rows at a time.

With values in DRAM each turn of the loop loads its rows and stores what it makes of them; the next rows are loaded meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm.norms import NormBase
from compiler.lowering.builder import Index, Place
from compiler.lowering.norms import load_norm_vector, norm_vectors
from compiler.lowering.spilling import load_rows, new_spilled, staging, store_rows
from compiler.lowering.values import Lowering, Tensor, dies_at

Vectors = dict[tuple[Attribute, float], Place]
LowerOp = Callable[[Lowering, Operation], None]


def lower_rows(low: Lowering, op: slmq.RowsOp, lower_op: LowerOp) -> None:
    """See the module docstring."""
    if low.plan.spills:
        RowTiles(low, op, lower_op).run()
        return
    body = op.body.block
    for argument, value in zip(body.args, op.operands_read, strict=True):
        low.values[argument] = low.values[value]
    lower_members(low, op, lower_op)
    for out, value in zip(op.outs, yielded(op), strict=True):
        low.values[out] = low.values[value]


def yielded(op: slmq.RowsOp) -> Sequence[SSAValue]:
    end = op.body.block.last_op
    return end.operands if end is not None else []


def lower_members(low: Lowering, op: slmq.RowsOp, lower_op: LowerOp) -> None:
    for member in op.body.block.ops:
        if not isinstance(member, slmq.YieldOp):
            lower_op(low, member)


class RowTiles:
    """One region in a loop over rows."""

    def __init__(self, low: Lowering, op: slmq.RowsOp, lower_op: LowerOp):
        self.low, self.b, self.op, self.lower_op = low, low.builder, op, lower_op
        self.most = min(low.plan.row_tile, low.plan.chunk)

    def run(self) -> None:
        low, outs = self.low, self.outputs()
        vectors = self.vectors()

        def turn(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            self.turn(first, outs, vectors)
            return []

        self.b.loop(0, low.rows, self.most, turn)
        low.values.update(zip(self.op.outs, outs, strict=True))

    def outputs(self) -> list[Tensor]:
        """Where the results go: over an operand in DRAM that dies here, or to a new place."""
        low, op = self.low, self.op
        free = [v for v in op.operands_read if v in low.spilled and dies_at(v, op)]
        tensors: list[Tensor] = []
        for out in op.outs:
            if out not in low.spilled:
                tensors.append(low.result(out, "rows"))
                continue
            reused = next((v for v in free if v.type == out.type and low.spilled[v] == low.spilled[out]), None)
            if reused is not None:
                free.remove(reused)
            tensors.append(new_spilled(low, out) if reused is None else low.values[reused])
        return tensors

    def vectors(self) -> Vectors:
        """The weights of the region's norms, loaded once."""
        found: Vectors = {}
        for norm in [member for member in self.op.body.block.ops if isinstance(member, NormBase)]:
            for weight, offset, label in norm_vectors(norm):
                found[weight, offset] = load_norm_vector(self.low, weight, label, offset)
        return found

    def turn(self, first: SSAValue, outs: Sequence[Tensor], vectors: Vectors) -> None:
        """The ops on the rows from `first` on."""
        b, low = self.b, self.low
        count = b.least(b.sub(low.rows, first), self.most)
        inner = low.some_rows(first, count, self.most)
        inner.vectors = vectors
        for argument, value in zip(self.op.body.block.args, self.op.operands_read, strict=True):
            tensor = low.values[value]
            inner.values[argument] = (
                load_rows(low, tensor, first, count, self.most) if tensor.block else rows_of(low, tensor, first, count)
            )
        results = yielded(self.op)
        for value, out in zip(results, outs, strict=True):
            inner.targets[value] = (
                staging(low, out, count, self.most, "made_rows") if out.block else rows_of(low, out, first, count)
            )
        lower_members(inner, self.op, self.lower_op)
        for value, out in zip(results, outs, strict=True):
            if out.block:
                store_rows(low, out, first, inner.values[value])


def rows_of(low: Lowering, tensor: Tensor, first: Index, count: Index) -> Tensor:
    """Some rows of a tensor in SRAM."""
    b = low.builder
    offset = b.add(tensor.place.offset, b.mul(first, tensor.row_bytes))
    return replace(tensor, place=replace(tensor.place, offset=offset), rows=count)
