"""The weights of a fusion group of many tokens: strips of all its products come side by side."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.dialects import slmq
from compiler.lowering.matmul import Product
from compiler.lowering.row_strips import MOST_TURNS, RowStreams, weight_place
from compiler.lowering.strip_buffers import Room, Strip, Turns
from compiler.lowering.strip_shapes import strip_shapes, wide_product
from compiler.lowering.values import Lowering
from compiler.lowering.weight_stream import WeightStream
from compiler.lowering.wide_streams import WideStreams


class StripStreams:
    """The weights of a group: `rows` columns of the result are a strip, `turns` of them are worked on at once. `is_ahead`: the first ones
    are on their way before the loop begins."""

    def __init__(self, low: Lowering, op: slmq.StripsOp):
        self.low, self.columns = low, op.columns.value.data
        shapes = strip_shapes(low.plan, op)
        self.rows = next(iter(shapes.values())).rows
        self.strips = -(-self.columns // self.rows)
        self.turns = 2 if low.plan.buffers == 2 and self.strips > 1 else 1
        self.of = {m: WeightStream(low.builder, m, shape, self.turns) for m, shape in shapes.items()}
        self.is_ahead = False
        self.has_pairs = self.turns == 2
        self.sums: Sequence[Turns | None] = [None] * len(self.of)
        self.made: dict[slmq.MatmulOp, Product] = {}

    def products(self) -> dict[slmq.MatmulOp, Product]:
        """With their buffers, made once."""
        if not self.made:
            self.made = {
                m: Product(self.low, stream, weight_place(self.low, stream), self.rows, self.turns, sums)
                for (m, stream), sums in zip(self.of.items(), self.sums, strict=True)
            }
        return self.made

    def take_sums(self, sums: Sequence[Turns]) -> None:
        """New products, with their sums in these buffers."""
        self.sums, self.made = sums, {}

    def sum_rooms(self) -> list[Room]:
        """What the sums of each product take."""
        return [Product.sums_room(self.low, self.rows, self.turns) for _ in self.of]

    def can_take_turns_with(self, before: StripStreams) -> bool:
        """Whether the strips of the group in front are as large, and whole."""
        streams = [*self.of.values(), *before.of.values()]
        if not before.has_pairs or self.rows != before.rows or len(self.of) != len(before.of):
            return False
        return all(s.is_whole and s.held_room.turn_bytes == streams[0].held_room.turn_bytes for s in streams)

    def take_turns_with(self, before: StripStreams) -> None:
        """Goes on in the buffers of the group in front."""
        self.take_sums([product.sums.behind(before.strips) for product in before.products().values()])
        self.has_pairs = True
        for mine, others in zip(self.of.values(), before.of.values(), strict=True):
            mine.take_turns_with(others, before.strips)

    def strip(self, number: int) -> Strip:
        """One of the first ones."""
        first = number * self.rows
        return Strip(self.rows, first, min(self.rows, self.columns - first), number)

    def rooms(self) -> list[Room]:
        """What `go_ahead` is given, in this order."""
        return [room for stream in self.of.values() for room in stream.rooms()]

    def go_ahead(self, given: Sequence[Turns]) -> None:
        """The first loads will be on their way before the loop begins."""
        self.is_ahead = True
        for stream in self.of.values():
            count = len(stream.rooms())
            stream.go_ahead(given[:count])
            given = given[count:]

    def load_ahead(self, first: int = 0, end: int = MOST_TURNS) -> None:
        """See WeightStream.load_ahead; in the order in which they are multiplied, those from one to another."""
        bases = {stream: weight_place(self.low, stream) for stream in self.of.values()}
        for number in range(self.turns)[first:end]:
            for stream, base in bases.items():
                if number < stream.strips_ahead():
                    stream.load_ahead(base, self.strip(number))


def streams_of(low: Lowering, op: slmq.StripsOp) -> RowStreams | StripStreams | WideStreams:
    """Of one token, whose products come one after the other, or of many."""
    if low.plan.token_strip_bytes:
        return RowStreams(low, op)
    return StripStreams(low, op) if wide_product(low.plan, op) is None else WideStreams(low, op)
