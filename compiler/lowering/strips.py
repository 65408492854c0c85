"""Fusion groups: a loop over strips of output columns. Each turn streams a strip's weights in and finishes the columns of one."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slmq, tile
from compiler.lowering.attention import appended
from compiler.lowering.builder import Index
from compiler.lowering.matmul import Product
from compiler.lowering.plan import StripShape, strip_shapes
from compiler.lowering.sampling import finish_sampling, start_sampling
from compiler.lowering.spilling import new_spilled
from compiler.lowering.strip_members import Results, StripMembers
from compiler.lowering.values import Lowering, Tensor, dies_at
from compiler.lowering.weight_stream import Room, Strip, Turns, WeightStream


def lower_strips(low: Lowering, op: slmq.StripsOp) -> None:
    """See the module docstring."""
    members = [member for member in op.body.block.ops if not isinstance(member, slmq.YieldOp)]
    end = op.body.block.last_op
    yielded = list(end.operands) if end is not None else []
    results = Results(low, {})
    for value, out in zip(yielded, op.outs, strict=True):
        if not isinstance(value.owner, slmq.SampleOp):
            results.places[value] = appended(low, out) or output_tensor(low, value, out)
    for member in members:
        if isinstance(member, slmq.SampleOp):
            start_sampling(low)
    streams = low.streams.pop(op, None) or StripStreams(low, op)
    StripLoop(low, streams, members, results).run()
    for member in members:
        if isinstance(member, slmq.SampleOp):
            finish_sampling(low)
    for value, out in zip(yielded, op.outs, strict=True):
        place = results.places.get(value)
        if isinstance(place, Tensor):
            low.values[out] = place
        elif place is not None:
            low.appended.add(out)


class StripStreams:
    """The weights of a group: `rows` columns of the result are a strip, `turns` of them are worked on at once."""

    def __init__(self, low: Lowering, op: slmq.StripsOp):
        self.low, self.columns = low, op.columns.value.data
        shapes = strip_shapes(low.plan, op)
        self.rows = next(iter(shapes.values())).rows
        self.strips = -(-self.columns // self.rows)
        self.turns = 2 if low.plan.buffers == 2 and self.strips > 1 else 1
        self.of = {m: WeightStream(low.builder, m, shape, self.turns) for m, shape in shapes.items()}

    def bases(self) -> list[SSAValue]:
        """Where each weight begins in DRAM."""
        return [
            self.low.place(tile.WeightOp, recipe(m, stream.shape), m.weight.key.data) for m, stream in self.of.items()
        ]

    def rooms(self) -> list[Room]:
        """What `go_ahead` is given, in this order."""
        return [room for stream in self.of.values() for room in stream.rooms()]

    def go_ahead(self, given: Sequence[Turns]) -> None:
        """The first loads will be on their way before the loop begins."""
        for stream in self.of.values():
            count = len(stream.rooms())
            stream.go_ahead(given[:count])
            given = given[count:]

    def load_ahead(self) -> None:
        """See WeightStream.load_ahead; in the order in which they are multiplied."""
        pairs = list(zip(self.of.values(), self.bases(), strict=True))
        for number in range(self.turns):
            for stream, base in pairs:
                if number < stream.strips_ahead():
                    stream.load_ahead(base, number)


class StripLoop:
    """The loop of a group: each turn multiplies one strip and finishes the one before.

    An engine takes few instructions ahead of time. If a strip's vector instructions came before the next strip's load, the load
    would not be issued before the product is done, and DRAM would wait for it. What comes behind the loop is loaded before the last
    strip is finished, for the same reason.
    """

    def __init__(self, low: Lowering, streams: StripStreams, members: list[Operation], results: Results):
        self.low, self.b, self.members, self.results, self.streams = low, low.builder, members, results, streams
        self.columns, self.rows, self.turns = streams.columns, streams.rows, streams.turns
        self.products = {m: Product(low, stream) for m, stream in streams.of.items()}
        self.bases = streams.bases()
        self.end = streams.strips * self.rows

    def run(self) -> None:
        if self.streams.strips == 1:
            self.one_by_one(0, self.bases)
        elif self.turns == 1:
            self.b.loop(0, self.columns, self.rows, self.one_by_one, self.bases)
        else:
            with self.b.keeping_buffers():
                self.b.loop(0, self.end + self.rows, self.rows, self.overlapped, [*self.bases, 0])

    def strip(self, first: Index, turn: Index) -> Strip:
        b, even = self.b, self.columns % self.rows == 0
        return Strip(self.rows, first, self.rows if even else b.least(b.sub(self.columns, first), self.rows), turn)

    def following(self, offsets: list[SSAValue]) -> list[Index]:
        sizes = [product.layout.strip_bytes for product in self.products.values()]
        return [self.b.add(offset, size) for offset, size in zip(offsets, sizes, strict=True)]

    def one_by_one(self, first: Index, offsets: list[SSAValue]) -> list[Index]:
        strip = self.strip(first, 0)
        self.multiply(strip, offsets)
        if self.streams.strips == 1:
            self.low.look_ahead()
        self.finish(strip)
        return self.following(offsets)

    def overlapped(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        b, (*offsets, turn) = self.b, carried
        is_strip = b.compare("slt", first, self.end)
        behind = None if self.low.upcoming is None else self.low.look_ahead
        b.when(is_strip, lambda: self.multiply(self.strip(first, turn), offsets), behind)
        other = b.sub(1, turn)
        b.when(b.compare("ne", first, 0), lambda: self.finish(self.strip(b.sub(first, self.rows), other)))
        return [*self.following(offsets), other]

    def multiply(self, strip: Strip, offsets: list[SSAValue]) -> None:
        for product, offset in zip(self.products.values(), offsets, strict=True):
            product.multiply(offset, strip, self.final(product, strip))

    def final(self, product: Product, strip: Strip) -> SSAValue | None:
        """The columns of the result, if it is in SRAM whole."""
        return self.results.view(product.op.result, strip)

    def finish(self, strip: Strip) -> None:
        StripMembers(self.low, self.results, strip, self.finished).run(self.members)

    def finished(self, op: slmq.MatmulOp, strip: Strip) -> SSAValue:
        product = self.products[op]
        return product.finish(strip, self.final(product, strip))


def recipe(op: slmq.MatmulOp, shape: StripShape) -> dict[str, Attribute]:
    """How the weight is packed: compiler/emit/packing.py reads this."""
    what: dict[str, Attribute] = {
        "kind": StringAttr("strips"),
        "key": op.weight.key,
        "format": op.format,
        "rows": IntegerAttr(op.rows, i64),
        "columns": IntegerAttr(op.columns, i64),
        "strip_rows": IntegerAttr(shape.rows, i64),
        "k_tile": IntegerAttr(shape.k_tile, i64),
    }
    if op.bias is not None:
        what["bias"] = op.bias.key
    return what


def output_tensor(low: Lowering, value: SSAValue, out: SSAValue) -> Tensor:
    """Where a value that leaves the group as `out` goes: over an operand from outside that dies with it, or to a new place."""
    block = low.spilled.get(out, 0)
    producer = value.owner
    if isinstance(producer, Operation) and not isinstance(producer, slmq.MatmulOp):  # all strips read a matmul's input
        for operand in producer.operands:
            tensor = low.values.get(operand)
            if tensor is None or tensor.block != block or operand.type != value.type:
                continue
            if dies_at(operand, producer):
                return tensor
    return new_spilled(low, out) if block else low.result(value, "columns")
