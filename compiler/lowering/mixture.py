"""Mixtures: one loop over the experts around one body. With choices an expert is given the rows that chose it, in SRAM next to each
other; an expert that nobody chose costs the scalar unit a few instructions, and its weights are not touched.

    total = 0
    for e in 0 .. E-1:
        count = 0
        for each row t that has e in its list: members[count] = t; count += 1
        for each of the fewest parts of members, of about equal size, that the plan has room for:
            values[q] = values of row part[q]
            y = the body on these rows
            for each q: total[part[q]] += y[q] * weights[part[q], e]
Rows of the values, of y and of the total may lie in DRAM: they come and go one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from xdsl.dialects import scf
from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Region, SSAValue

from compiler.dialects import slm
from compiler.lowering.builder import Index
from compiler.lowering.routing import ENTRY_BYTES, INDEX_BYTES
from compiler.lowering.spilling import fill_rows, load_rows, new_spilled, staging, store_rows
from compiler.lowering.values import Lowering, Tensor, rows_of

MEMBER_BYTES = 4
LowerBlock = Callable[[Lowering, Block], None]


def lower_mixture(low: Lowering, op: slm.MixtureOp, lower_block: LowerBlock) -> None:
    """See the module docstring."""
    total = new_spilled(low, op.result) if op.result in low.spilled else low.result(op.result, "mixture")
    low.values[op.result] = total
    clear(low, total)

    def expert(index: SSAValue, _: list[SSAValue]) -> list[Index]:
        low.expert, low.experts = index, op.count
        Expert(low, op, index, total, lower_block).run()
        return []

    low.builder.loop(0, op.count, 1, expert)


def clear(low: Lowering, total: Tensor) -> None:
    """All rows +0."""
    b = low.builder
    if not total.block:
        b.vun("mov", low.view(total), 0.0)
        return
    most = low.plan.row_tile(total.row_bytes)
    zeros = low.some_rows(0, most, most).new("zeros", total.dtype, total.shape, most)
    b.vun("mov", low.view(zeros), 0.0)

    def some(first: SSAValue, _: list[SSAValue]) -> list[Index]:
        store_rows(low, total, first, replace(zeros, rows=b.least(b.sub(low.rows, first), most)))
        return []

    b.loop(0, low.rows, most, some)


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

    def body(self, low: Lowering, values: Sequence[Tensor]) -> Tensor:
        low.values.update(zip(self.op.block.args, values, strict=True))
        self.lower_block(low, self.op.block)
        return low.values[self.op.yielded]

    def add_all(self, weights: Tensor | None) -> None:
        """total += y, or y times the expert's column of the weights."""
        b, total, y = self.b, self.total, self.low.view(self.body(self.low, self.values))
        target = self.low.view(total)
        if weights is None:
            b.vbin("add", target, target, y)
            return
        extents: list[Index] = [*reversed(total.shape), self.low.rows]
        strides = [*[0] * len(total.shape), weights.row_bytes]
        b.vmad("mad", target, y, b.view(weights.place, "f32", extents, strides, b.mul(self.index, 4)), target)

    def add_chosen(self, weights: Tensor, lists: Tensor) -> None:
        """The body on the rows that chose the expert, if there are any: in parts, if they can be too many."""
        low, b = self.low, self.b
        plan = low.plan.for_experts()
        members = b.alloc("members", low.most_rows * MEMBER_BYTES, "smem")
        count = self.members(lists, members)

        def all_parts() -> None:
            parts = b.div(b.add(count, plan.chunk - 1), plan.chunk)
            size = b.div(b.sub(b.add(count, parts), 1), parts)

            def part(number: SSAValue, _: list[SSAValue]) -> list[Index]:
                first = b.mul(number, size)
                Members(self, weights, members, first, b.least(b.sub(count, first), size)).run()
                return []

            b.loop(0, parts, 1, part)

        everybody = Members(self, weights, members, 0, count)
        run = everybody.run if plan.chunk >= low.most_rows else all_parts
        b.when(b.compare("ne", count, 0), run)

    def members(self, lists: Tensor, members: SSAValue) -> SSAValue:
        """Writes the numbers of the rows whose list holds the expert; how many there are. A list holds an expert once at most."""
        b = self.b

        def take(row: SSAValue, count: SSAValue) -> Index:
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


class Members:
    """The body on `count` of the rows that chose an expert, from `first` on in the list of their numbers."""

    def __init__(self, expert: Expert, weights: Tensor, members: SSAValue, first: Index, count: Index):
        self.expert, self.low, self.b, self.total = expert, expert.low, expert.b, expert.total
        self.weights, self.numbers, self.first, self.count = weights, members, first, count

    def run(self) -> None:
        outer = self.low
        plan = outer.plan.for_experts()
        low = replace(outer, plan=plan, rows=self.count, most_rows=min(plan.chunk, outer.most_rows), targets={})
        values = self.expert.values
        own = [value for value in values if not value.shared]
        rows = [low.new("gathered", value.dtype, value.shape, self.count) for value in own]
        self.gather(own, rows)
        gathered = iter(rows)
        self.add(low, self.expert.body(low, [value if value.shared else next(gathered) for value in values]))

    def number(self, position: Index) -> SSAValue:
        """Of the row of a member of this part."""
        b = self.b
        return b.lds(MEMBER_BYTES, b.mul(b.add(self.first, position), MEMBER_BYTES), self.numbers)

    def row(self, tensor: Tensor, row: Index) -> SSAValue:
        """The view of one row, flat."""
        return self.b.view(tensor.place, tensor.dtype, [tensor.columns], offset=self.b.mul(row, tensor.row_bytes))

    def gather(self, sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
        """Copies the members' rows next to each other."""
        b, low = self.b, self.low

        def take(position: SSAValue, _: list[SSAValue]) -> list[Index]:
            row = self.number(position)
            for source, target in zip(sources, targets, strict=True):
                if source.block:
                    fill_rows(low, source, row, rows_of(low, target, position, 1))
                else:
                    b.vun("mov", self.row(target, position), self.row(source, row))
            return []

        b.loop(0, self.count, 1, take)

    def add(self, low: Lowering, y: Tensor) -> None:
        """total[member] += y[member] * the weight that the row gives the expert; rows in DRAM come some at a time."""
        b, total = self.b, self.total
        if not y.block and not total.block:
            b.loop(0, self.count, 1, lambda position, _: self.add_row(position, self.row(y, position), None))
            return
        most = low.plan.row_tile(total.row_bytes)

        def some(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            count = b.least(b.sub(self.count, first), most)
            rows = load_rows(low, y, first, count, most) if y.block else rows_of(low, y, first, count)
            sums = staging(low, total, count, most, "mixture_rows") if total.block else None

            def each(position: SSAValue, _: list[SSAValue]) -> list[Index]:
                row = None if sums is None else rows_of(low, sums, position, 1)
                return self.add_row(b.value(b.add(first, position)), self.row(rows, position), row)

            b.loop(0, count, 1, each)
            return []

        b.loop(0, self.count, most, some)

    def add_row(self, position: SSAValue, y: SSAValue, staged: Tensor | None) -> list[Index]:
        """Of one member. `staged`: where its row of the total comes to, if that lies in DRAM."""
        b, low, total, weights = self.b, self.low, self.total, self.weights
        row = self.number(position)
        place = b.add(b.mul(row, weights.row_bytes), b.mul(self.expert.index, 4))
        weight = b.view(weights.place, "f32", [total.columns], [0], place)
        if staged is not None:
            fill_rows(low, total, row, staged)
        target = self.row(total, row) if staged is None else self.row(staged, 0)
        b.vmad("mad", target, y, weight, target)
        if staged is not None:
            store_rows(low, total, row, staged)
        return []
