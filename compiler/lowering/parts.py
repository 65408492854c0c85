"""A step of more tokens than are worked on at once: all of them go through a layer before the next one.

    for each segment of a layer (compiler/lowering/segments.py):
        a mixture:    all tokens, so that the weights of an expert are streamed once for them
        other ops:    for each chunk of the tokens: the ops, as if there were no others
Chunks begin at multiples of their size, so that none crosses a KV block. What is read in another segment than the one it is made in has
room for all tokens, in SRAM or in DRAM; the ops of a chunk see its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm import has_tokens
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.routing import choices
from compiler.lowering.rows import load_rotary_tables
from compiler.lowering.sampling import chosen_rows
from compiler.lowering.segments import Segment, crossing_values, segments
from compiler.lowering.spilling import copy_spilled, new_spilled
from compiler.lowering.values import Lowering, Tensor, rows_of

LowerOps = Callable[[Lowering, Sequence[Operation]], None]


class Wholes(Mapping[SSAValue, Tensor]):
    """Rows of a chunk of values that have room for all tokens, made in front of the loop over chunks when they are asked for.

    `seen`: which place of a chunk's rows belongs to which tensor.
    """

    def __init__(self, low: Lowering, home: Block, values: Sequence[SSAValue], first: Index, count: Index):
        self.low, self.home, self.wanted, self.first, self.count = low, home, frozenset(values), first, count
        self.seen: dict[Place, Tensor] = {}
        self.made: dict[SSAValue, Tensor] = {}

    def __contains__(self, value: object) -> bool:
        return value in self.wanted

    def __getitem__(self, value: SSAValue) -> Tensor:
        if value not in self.wanted:
            raise KeyError(value)
        if value not in self.made:
            with self.low.builder.inside(self.home):
                whole = self.new(value)
            self.made[value] = self.rows(whole)
        return self.made[value]

    def __iter__(self) -> Iterator[SSAValue]:
        return iter(self.wanted)

    def __len__(self) -> int:
        return len(self.wanted)

    def new(self, value: SSAValue) -> Tensor:
        if isinstance(value.owner, slmq.TopKOp) and value is value.owner.chosen:
            return choices(self.low, value)
        return new_spilled(self.low, value) if value in self.low.spilled else self.low.result(value, "step")

    def rows(self, whole: Tensor) -> Tensor:
        """Those of the chunk."""
        if whole.shared or whole.place.space == "weight":
            return whole
        rows = some_of(self.low, whole, self.first, self.count)
        self.seen[rows.place] = whole
        return rows


def some_of(low: Lowering, tensor: Tensor, first: Index, count: Index) -> Tensor:
    """Some rows of a tensor wherever it is."""
    if not tensor.block:
        return rows_of(low, tensor, first, count)
    b = low.builder
    offset = b.add(tensor.place.offset, b.mul(first, tensor.block * element_bytes(tensor.dtype)))
    return replace(tensor, place=replace(tensor.place, offset=offset), rows=count)


class Parts:
    """The ops of one block for all tokens of a step. `lower_ops` lowers those of a chunk, `lower_whole` one that takes all tokens."""

    def __init__(
        self, low: Lowering, block: Block, lower_ops: LowerOps, lower_whole: Callable[[Lowering, Operation], None]
    ):
        self.low, self.b, self.block = low, low.builder, block
        self.lower_ops, self.lower_whole = lower_ops, lower_whole
        self.crossing = crossing_values(block)

    def run(self) -> None:
        for segment in segments(self.block):
            if segment.is_whole:
                for op in segment.ops:
                    self.lower_whole(self.low, op)
            elif isinstance(segment.ops[0], slmq.SelectRowsOp):
                self.selected(segment)
            else:
                self.by_chunks(segment)

    def by_chunks(self, segment: Segment) -> None:
        """One chunk after the other; the first one ends at a multiple of the chunk."""
        b, low, chunk = self.b, self.low, self.low.plan.chunk
        before = b.rem(low.position, chunk)
        outs = [v for op in segment.ops for v in op.results if v in self.crossing and has_tokens(v)]
        home = b.block

        def part(start: SSAValue, _: list[SSAValue]) -> list[Index]:
            first = b.greatest(b.sub(start, before), 0)
            count = b.sub(b.least(b.sub(b.add(start, chunk), before), low.rows), first)
            wholes = Wholes(low, home, outs, first, count)
            inner = self.inner(wholes, segment.ops)
            self.lower_ops(inner, segment.ops)
            for out in outs:
                low.values[out] = self.whole(inner, wholes, out)
            return []

        b.loop(0, b.add(low.rows, before), chunk, part)

    def selected(self, segment: Segment) -> None:
        """What comes behind a choice of rows, if some are wanted: a chunk of them after the other."""
        b, low, chunk = self.b, self.low, self.low.plan.chunk
        wanted = chosen_rows(low)
        selects = [op for op in segment.ops if isinstance(op, slmq.SelectRowsOp)]
        rest = [op for op in segment.ops if not isinstance(op, slmq.SelectRowsOp)]

        def some() -> None:
            skipped = b.sub(low.rows, wanted)

            def part(first: SSAValue, _: list[SSAValue]) -> list[Index]:
                count = b.least(b.sub(wanted, first), chunk)
                wholes = Wholes(low, b.block, [], b.add(skipped, first), count)
                inner = self.inner(wholes, rest)
                inner.position, inner.chunk_rows = b.add(low.position, first), b.sub(low.chunk_rows, first)
                for op in selects:
                    inner.values[op.result] = wholes.rows(low.values[op.x])
                self.lower_ops(inner, rest)
                return []

            b.loop(0, wanted, chunk, part)

        b.when(b.compare("ne", wanted, 0), some)

    def inner(self, wholes: Wholes, ops: Sequence[Operation]) -> Lowering:
        """A lowering for a chunk, which knows its rows of what the ops read."""
        b, low, first = self.b, self.low, wholes.first
        inner = replace(
            low, plan=low.plan.for_part(), most_rows=low.plan.chunk, rows=wholes.count, chunk_rows=wholes.count,
            position=b.add(low.position, first), available=b.value(b.sub(low.available, first)),
            skipped=first, values=dict(low.values), targets=wholes, rotary_tables={},
        )  # fmt: skip
        members = [member for op in ops for member in op.walk()]
        for value in dict.fromkeys(value for member in members for value in member.operands):
            if value in low.values and has_tokens(value):
                inner.values[value] = wholes.rows(low.values[value])
        for rotary in dict.fromkeys(member.rotary for member in members if isinstance(member, slmq.RopeOp)):
            load_rotary_tables(inner, rotary)
        return inner

    def whole(self, inner: Lowering, wholes: Wholes, out: SSAValue) -> Tensor:
        """Where a value of a chunk belongs to; if it is in a place of the chunk alone, it is copied."""
        tensor = inner.values[out]
        if tensor.place not in wholes.seen:
            target = wholes[out]
            if tensor.block:
                copy_spilled(inner, tensor, target)
            else:
                self.b.vun("mov", inner.view(target), inner.view(tensor))
            tensor = target
        return wholes.seen[tensor.place]
