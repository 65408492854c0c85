"""Mixtures: one loop over the experts around one body. With choices an expert is given the rows that chose it, in SRAM next to each
other; an expert that nobody chose costs the scalar unit a few instructions, and its weights are not touched.

    total = 0
    for e in 0 .. E-1:
        count = 0
        for each row t that has e in its list: values[count] = values of t; members[count] = t; count += 1
        if count != 0:
            y = the body on these rows
            for q in 0 .. count-1: total[members[q]] += y[q] * weights[members[q], e]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import scf
from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Region, SSAValue

from compiler.dialects import slm
from compiler.lowering.builder import Index
from compiler.lowering.routing import ENTRY_BYTES, INDEX_BYTES
from compiler.lowering.values import Lowering, Tensor

MEMBER_BYTES = 4
LowerBlock = Callable[[Lowering, Block], None]


def lower_mixture(low: Lowering, op: slm.MixtureOp, lower_block: LowerBlock) -> None:
    """See the module docstring."""
    total = low.result(op.result, "mixture")
    low.values[op.result] = total
    low.builder.vun("mov", low.view(total), 0.0)

    def expert(index: SSAValue, _: list[SSAValue]) -> list[Index]:
        low.expert, low.experts = index, op.count
        Expert(low, op, index, total, lower_block).run()
        return []

    low.builder.loop(0, op.count, 1, expert)


class Expert:
    """One turn of the loop: what expert `index` adds to `total`."""

    def __init__(self, low: Lowering, op: slm.MixtureOp, index: SSAValue, total: Tensor, lower_block: LowerBlock):
        self.low, self.b, self.op, self.index, self.total = low, low.builder, op, index, total
        self.lower_block = lower_block
        self.values = [low.values[value] for value in op.values]
        self.weights = None if op.weights is None else low.values[op.weights]

    def run(self) -> None:
        if self.op.chosen is None or self.weights is None:
            self.add_all(self.weights)
        else:
            self.add_chosen(self.weights, self.low.values[self.op.chosen])

    def body(self, values: Sequence[Tensor]) -> Tensor:
        self.low.values.update(zip(self.op.block.args, values, strict=True))
        self.lower_block(self.low, self.op.block)
        return self.low.values[self.op.yielded]

    def add_all(self, weights: Tensor | None) -> None:
        """total += y, or y times the expert's column of the weights."""
        b, total, y = self.b, self.total, self.low.view(self.body(self.values))
        target = self.low.view(total)
        if weights is None:
            b.vbin("add", target, target, y)
            return
        extents: list[Index] = [*reversed(total.shape), self.low.rows]
        strides = [*[0] * len(total.shape), weights.row_bytes]
        b.vmad("mad", target, y, b.view(weights.place, "f32", extents, strides, b.mul(self.index, 4)), target)

    def add_chosen(self, weights: Tensor, lists: Tensor) -> None:
        """The body on the rows that chose the expert, if there are any."""
        low, b = self.low, self.b
        own = [value for value in self.values if not value.shared]
        rows = [low.new("gathered", value.dtype, value.shape, 0) for value in own]
        members = b.alloc("members", low.plan.chunk * MEMBER_BYTES, "smem")
        count = self.gather(lists, list(zip(own, rows, strict=True)), members)

        def run() -> None:
            outer, low.rows = low.rows, count
            gathered = iter(Tensor(tensor.place, tensor.dtype, tensor.shape, count) for tensor in rows)
            y = self.body([value if value.shared else next(gathered) for value in self.values])
            low.rows = outer
            self.add_rows(weights, y, members)

        b.when(b.compare("ne", count, 0), run)

    def row(self, tensor: Tensor, row: SSAValue) -> SSAValue:
        """The view of one row, flat."""
        return self.b.view(tensor.place, tensor.dtype, [tensor.columns], offset=self.b.mul(row, tensor.row_bytes))

    def gather(self, lists: Tensor, pairs: Sequence[tuple[Tensor, Tensor]], members: SSAValue) -> SSAValue:
        """Copies the rows whose list holds the expert, (from, to); how many there are. A list holds an expert once at most."""
        b = self.b

        def take(row: SSAValue, count: SSAValue) -> Index:
            for source, target in pairs:
                b.vun("mov", self.row(target, count), self.row(source, row))
            b.sts(MEMBER_BYTES, row, b.mul(count, MEMBER_BYTES), members)
            return b.add(count, 1)

        def look(row: SSAValue, counts: list[SSAValue]) -> list[Index]:
            first = b.add(lists.place.offset, b.mul(row, lists.row_bytes))

            def entry(offset: SSAValue, counts: list[SSAValue]) -> list[Index]:
                found = b.lds(4, b.add(first, offset), lists.place.buffer, INDEX_BYTES)
                taken, left = Block(), Block()
                with b.inside(taken):
                    b.insert(scf.YieldOp(b.value(take(row, counts[0]))))
                with b.inside(left):
                    b.insert(scf.YieldOp(counts[0]))
                condition = b.compare("eq", found, self.index)
                return [b.insert(scf.IfOp(condition, [IndexType()], Region(taken), Region(left))).results[0]]

            return list(b.loop(0, lists.row_bytes, ENTRY_BYTES, entry, counts))

        return b.loop(0, self.low.rows, 1, look, [0])[0]

    def add_rows(self, weights: Tensor, y: Tensor, members: SSAValue) -> None:
        """total[members[q]] += y[q] * the weight that the row gives the expert."""
        b, total = self.b, self.total

        def each(position: SSAValue, _: list[SSAValue]) -> list[Index]:
            row = b.lds(MEMBER_BYTES, b.mul(position, MEMBER_BYTES), members)
            place = b.add(b.mul(row, weights.row_bytes), b.mul(self.index, 4))
            weight = b.view(weights.place, "f32", [total.columns], [0], place)
            target = self.row(total, row)
            b.vmad("mad", target, self.row(y, position), weight, target)
            return []

        b.loop(0, y.rows, 1, each)
