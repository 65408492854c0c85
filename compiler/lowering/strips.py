"""Fusion groups: a loop over strips of output columns. Each turn streams a strip's weights in and finishes the columns of one."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slmq, tile
from compiler.lowering.attention import appended
from compiler.lowering.builder import Index
from compiler.lowering.matmul import Product, Strip
from compiler.lowering.plan import StripShape, strip_shapes
from compiler.lowering.sampling import finish_sampling, start_sampling
from compiler.lowering.spilling import new_spilled
from compiler.lowering.strip_members import Results, StripMembers
from compiler.lowering.values import Lowering, Tensor, dies_at


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
    StripLoop(low, op, members, results).run()
    for member in members:
        if isinstance(member, slmq.SampleOp):
            finish_sampling(low)
    for value, out in zip(yielded, op.outs, strict=True):
        place = results.places.get(value)
        if isinstance(place, Tensor):
            low.values[out] = place
        elif place is not None:
            low.appended.add(out)


class StripLoop:
    """The loop of a group: each turn multiplies one strip and finishes the one before.

    An engine takes few instructions ahead of time. If a strip's vector instructions came before the next strip's load, the load
    would not be issued before the product is done, and DRAM would wait for it.
    """

    def __init__(self, low: Lowering, op: slmq.StripsOp, members: list[Operation], results: Results):
        self.low, self.b, self.members, self.results = low, low.builder, members, results
        self.columns = op.columns.value.data
        shapes = strip_shapes(low.plan, op)
        self.rows = next(iter(shapes.values())).rows
        strips = -(-self.columns // self.rows)
        self.turns = 2 if low.plan.buffers == 2 and strips > 1 else 1
        self.products = {m: Product(low, m, shape, self.turns) for m, shape in shapes.items()}
        self.bases = [low.place(tile.WeightOp, recipe(m, shape), m.weight.key.data) for m, shape in shapes.items()]
        self.end = strips * self.rows

    def run(self) -> None:
        if self.turns == 1:
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

    def one_by_one(self, first: SSAValue, offsets: list[SSAValue]) -> list[Index]:
        strip = self.strip(first, 0)
        self.multiply(strip, offsets)
        self.finish(strip)
        return self.following(offsets)

    def overlapped(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        b, (*offsets, turn) = self.b, carried
        b.when(b.compare("slt", first, self.end), lambda: self.multiply(self.strip(first, turn), offsets))
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
