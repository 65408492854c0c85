"""Fusion groups of one token: the products of a row, strip by strip, then what is done to the row, once.

A row is a few kilobytes, and the instructions behind the products are as many for a strip as for a row. So the strips of one product
after the other go to a buffer of the row's length, and what is behind them is done to all columns at once, or to some thousand of them
(a span) while the next ones come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slmq, tile
from compiler.lowering.builder import Index
from compiler.lowering.matmul import Product, steps_of
from compiler.lowering.plan import STRIP_ROWS_UNIT
from compiler.lowering.strip_buffers import Room, Strip, Turns
from compiler.lowering.strip_members import Results, StripMembers
from compiler.lowering.strip_shapes import row_shape_of
from compiler.lowering.values import Lowering
from compiler.lowering.weight_stream import WeightStream
from compiler.sizes import padded

MOST_TURNS = 2


class RowStreams:
    """The weights of a group: strips of one product after the other, which take turns in one pair of buffers."""

    def __init__(self, low: Lowering, op: slmq.StripsOp):
        self.low, self.columns = low, op.columns.value.data
        shape = row_shape_of(low.plan, op)
        self.span = min(shape.span, self.columns)
        strips = sum(-(-self.columns // strip.rows) for strip in shape.strips.values())
        self.turns = 2 if low.plan.buffers == 2 and strips > 1 else 1
        self.of = {m: WeightStream(low.builder, m, strip, self.turns) for m, strip in shape.strips.items()}
        self.whole = [stream for stream in self.of.values() if stream.is_whole]
        self.ahead: dict[WeightStream, int] = {}

    def bases(self) -> dict[slmq.MatmulOp, SSAValue]:
        """Where each weight begins in DRAM."""
        return {m: weight_place(self.low, stream) for m, stream in self.of.items()}

    # Ahead of the loop

    def first_strips(self) -> dict[WeightStream, int]:
        """How many strips of each product come ahead: as many as there are turns, or some k-tiles of one."""
        found: dict[WeightStream, int] = {}
        for stream in self.of.values():
            left = self.turns - sum(found.values())
            if not left or (found and not stream.is_whole):
                break
            found[stream] = min(len(strips_of(self.span, stream.shape.rows)), left) if stream.is_whole else 1
            if not stream.is_whole:
                break
        return found

    def rooms(self) -> list[Room]:
        """What `go_ahead` is given, in this order."""
        first = next(iter(self.of.values()))
        return [*self.strip_rooms(), *([] if first.is_whole else first.rooms())]

    def strip_rooms(self) -> list[Room]:
        """For whole strips, whatever product they are of."""
        most = max((stream.held_room.turn_bytes for stream in self.whole), default=0)
        return [Room("weights", most, self.turns)] if most else []

    def go_ahead(self, given: Sequence[Turns]) -> None:
        """The first loads will be on their way before the loop begins."""
        self.ahead = self.first_strips()
        rooms = iter(given)
        if self.whole:
            self.hold(next(rooms))
        first = next(iter(self.of.values()))
        if not first.is_whole:
            first.go_ahead(list(rooms))

    def hold(self, turns: Turns | None = None) -> None:
        """The buffers of whole strips."""
        for room in self.strip_rooms():
            turns = turns or room.at(self.low.builder.alloc(room.label, room.size_bytes))
        for stream in self.whole:
            stream.held = turns

    def load_ahead(self, first: int = 0, end: int = MOST_TURNS) -> None:
        """See WeightStream.load_ahead; in the order in which they are multiplied, those from one to another."""
        strips = [(stream, number) for stream, count in self.first_strips().items() for number in range(count)]
        for turn, (stream, number) in list(enumerate(strips))[first:end]:
            start, count = strips_of(self.span, stream.shape.rows)[number]
            stream.load_ahead(weight_place(self.low, stream), Strip(stream.shape.rows, start, count, turn))


class RowLoop:
    """The loops of a group. Where there are several spans, one is finished behind the first strip of the next one: an engine takes few
    instructions ahead of time, and vector instructions in front of that strip's load would let DRAM wait. What comes behind the group
    is loaded before the last span is finished, for the same reason."""

    def __init__(self, low: Lowering, streams: RowStreams, members: list[Operation], results: Results):
        self.low, self.b, self.streams, self.members, self.results = low, low.builder, streams, members, results
        self.columns, self.span = streams.columns, streams.span
        self.turns = 2 if low.plan.buffers == 2 and self.columns > self.span else 1

    def run(self) -> None:
        with self.b.keeping_buffers():
            self.prepare()
            self.all_spans()

    def prepare(self) -> None:
        """Buffers, and what all spans read."""
        streams, bases = self.streams, self.streams.bases()
        if streams.whole and streams.whole[0].held is None:
            streams.hold()
        self.products = {m: Product(self.low, s, bases[m], self.span, self.turns) for m, s in streams.of.items()}
        for product in self.products.values():
            product.load_all_numbers()

    def all_spans(self) -> None:
        """The first one is apart: its first strips may be there, and there is none before it."""
        spans, rest = divmod(self.columns, self.span)
        last = Strip(self.span, 0, self.span, 0)
        turn = self.multiply(last, 0, self.streams.ahead, None)
        if spans > 1:
            turn, part_turn = self.loop(spans, turn)
            last = Strip(self.span, (spans - 1) * self.span, self.span, self.other(part_turn, self.turns))
        if rest:
            before, last = last, Strip(self.span, spans * self.span, rest, self.other(last.turn, self.turns))
            self.multiply(last, turn, {}, lambda: self.finish(before))
        self.low.look_ahead()
        self.finish(last)

    def loop(self, spans: int, turn: Index) -> list[SSAValue]:
        """Over whole spans but the first one; the turns of the strips and of the span behind it."""

        def span(first: SSAValue, carried: list[SSAValue]) -> list[Index]:
            part = Strip(self.span, first, self.span, carried[1])
            before = Strip(self.span, self.b.sub(first, self.span), self.span, self.other(part.turn, self.turns))
            following = self.multiply(part, carried[0], {}, lambda: self.finish(before))
            return [following, before.turn]

        return self.b.loop(self.span, spans * self.span, self.span, span, [turn, self.other(0, self.turns)])

    def other(self, turn: Index, turns: int) -> Index:
        """The turn that follows."""
        return self.b.sub(1, turn) if turns == 2 else 0

    def multiply(
        self, part: Strip, turn: Index, ahead: Mapping[WeightStream, int], before: Callable[[], None] | None
    ) -> Index:
        """The products of a span, whose strips begin with a turn; the turn behind them. `ahead`: strips that have been loaded, `before`:
        what is to be done behind the first strip, or in front of it if there are no buffers for both spans."""
        assert isinstance(part.count, int)
        if before is not None and self.turns == 1:
            before()
            before = None
        for product in self.products.values():
            product.load_numbers(part)
        for product in self.products.values():
            strips, loaded = strips_of(part.count, product.shape.rows), ahead.get(product.stream, 0)
            single = max(loaded, 0 if before is None else 1)
            for number, (start, count) in enumerate(strips[:single]):
                self.multiply_strip(product, part, start, count, turn, number < loaded)
                turn = self.other(turn, self.streams.turns)
                if before is not None:
                    before()
                    before = None
            turn = self.other_strips(product, part, strips[single:], turn)
        return turn

    def other_strips(self, product: Product, part: Strip, strips: Sequence[tuple[int, int]], turn: Index) -> Index:
        """A loop over those of equal size, then the others; the turn behind them."""
        rows, turns = product.shape.rows, self.streams.turns
        whole = [start for start, count in strips if count == rows]

        def strip(start: SSAValue, carried: list[SSAValue]) -> list[Index]:
            self.multiply_strip(product, part, start, rows, carried[0], False)
            return [self.other(carried[0], turns)]

        if whole:
            self.b.loop(whole[0], whole[-1] + rows, rows, strip, [turn])
            turn = self.other(turn, turns) if len(whole) % 2 else turn
        for start, count in strips[len(whole) :]:
            self.multiply_strip(product, part, start, count, turn, False)
            turn = self.other(turn, turns)
        return turn

    def multiply_strip(
        self, product: Product, part: Strip, start: Index, count: int, turn: Index, is_loaded: bool
    ) -> None:
        """The strip of so many columns from one of the span on."""
        strip = Strip(product.shape.rows, self.b.add(part.first, start), count, turn)
        if not is_loaded:
            product.load(strip)
        final = None if steps_of(product.op) else self.results.view(product.op.result, strip)
        target = product.products(part, start, count) if final is None else final
        product.multiply(strip, target, is_loaded)
        product.add_offsets(strip, target)

    def finish(self, part: Strip) -> None:
        StripMembers(self.low, self.results, part, self.finished).run(self.members)

    def finished(self, op: slmq.MatmulOp, part: Strip) -> SSAValue:
        return self.products[op].finish(part, self.results.view(op.result, part))


def strips_of(columns: int, rows: int) -> list[tuple[int, int]]:
    """(first column, columns) of each strip: all of `rows` columns but the last one. If that were a short one, its load would be over long
    before the product of the strip before it, whose buffer the next load waits for: then the last two share their columns."""
    starts = list(range(0, columns, rows))
    sizes = [min(rows, columns - start) for start in starts]
    if len(starts) > 1 and 2 * sizes[-1] < rows:
        both = sizes[-2] + sizes[-1]
        sizes[-2] = padded(-(-both // 2), STRIP_ROWS_UNIT)
        sizes[-1] = both - sizes[-2]
        starts[-1] = starts[-2] + sizes[-2]
    return [(start, size) for start, size in zip(starts, sizes, strict=True) if size]


def weight_place(low: Lowering, stream: WeightStream) -> SSAValue:
    """Where a weight begins in DRAM."""
    return low.place(tile.WeightOp, recipe(stream.op, stream.shape.k_tile), stream.op.weight.key.data)


def recipe(op: slmq.MatmulOp, k_tile: int) -> dict[str, Attribute]:
    """How the weight is packed: compiler/emit/packing.py reads this. And the weight whose strips its own may take turns with."""
    what: dict[str, Attribute] = {
        "kind": StringAttr("matrix"),
        "key": op.weight.key,
        "format": op.format,
        "rows": IntegerAttr(op.rows, i64),
        "columns": IntegerAttr(op.columns, i64),
    }
    if op.weight_format.sparse:
        what["k_tile"] = IntegerAttr(k_tile, i64)
    if op.bias is not None:
        what["bias"] = op.bias.key
    block = op.parent
    assert block is not None
    first = next(member for member in block.ops if isinstance(member, slmq.MatmulOp))
    if first is not op:
        what["beside"] = first.weight.key
    return what
