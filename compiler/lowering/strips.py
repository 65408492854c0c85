"""Fusion groups: a loop over strips of output columns. Each turn streams a strip's weights in and finishes the columns of one."""

from __future__ import annotations

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq
from compiler.lowering.attention import appended
from compiler.lowering.builder import Index
from compiler.lowering.matmul import Product
from compiler.lowering.plan import strip_shapes
from compiler.lowering.row_strips import RowLoop, RowStreams, weight_place
from compiler.lowering.sampling import finish_sampling, start_sampling
from compiler.lowering.spilling import new_spilled
from compiler.lowering.strip_members import Results, StripMembers
from compiler.lowering.values import Lowering, Tensor, dies_at
from compiler.lowering.weight_stream import Strip, WeightStream


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
    if low.plan.token_strip_bytes:
        streams = low.streams.pop(op, None) or RowStreams(low, op)
        RowLoop(low, streams, members, results).run()
    else:
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
    """The loop of a group: each turn multiplies one strip of each product and finishes the one before.

    An engine takes few instructions ahead of time. If a strip's vector instructions came before the next strip's load, the load
    would not be issued before the product is done, and DRAM would wait for it.
    """

    def __init__(self, low: Lowering, op: slmq.StripsOp, members: list[Operation], results: Results):
        self.low, self.b, self.members, self.results = low, low.builder, members, results
        shapes, self.columns = strip_shapes(low.plan, op), op.columns.value.data
        self.rows = next(iter(shapes.values())).rows
        self.strips = -(-self.columns // self.rows)
        self.turns = 2 if low.plan.buffers == 2 and self.strips > 1 else 1
        self.end = self.strips * self.rows
        self.products = {m: self.product(WeightStream(low.builder, m, s, self.turns)) for m, s in shapes.items()}

    def product(self, stream: WeightStream) -> Product:
        return Product(self.low, stream, weight_place(self.low, stream), self.rows, self.turns)

    def run(self) -> None:
        for product in self.products.values():
            product.load_all_numbers()
        if self.strips == 1:
            self.one_by_one(0)
        elif self.turns == 1:
            self.b.loop(0, self.columns, self.rows, lambda first, _: self.one_by_one(first))
        else:
            with self.b.keeping_buffers():
                self.b.loop(0, self.end + self.rows, self.rows, self.overlapped, [0])

    def strip(self, first: Index, turn: Index) -> Strip:
        b, even = self.b, self.columns % self.rows == 0
        return Strip(self.rows, first, self.rows if even else b.least(b.sub(self.columns, first), self.rows), turn)

    def one_by_one(self, first: Index) -> list[Index]:
        strip = self.strip(first, 0)
        self.multiply(strip)
        self.finish(strip)
        return []

    def overlapped(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        b, turn = self.b, carried[0]
        is_strip = b.compare("slt", first, self.end)
        b.when(is_strip, lambda: self.multiply(self.strip(first, turn)))
        other = b.sub(1, turn)
        b.when(b.compare("ne", first, 0), lambda: self.finish(self.strip(b.sub(first, self.rows), other)))
        return [other]

    def multiply(self, strip: Strip) -> None:
        for product in self.products.values():
            final = self.final(product, strip)
            product.load(strip)
            product.load_numbers(strip)
            product.multiply(strip, product.products(strip) if product.steps or final is None else final)

    def final(self, product: Product, strip: Strip) -> SSAValue | None:
        """The columns of the result, if it is in SRAM whole."""
        return self.results.view(product.op.result, strip)

    def finish(self, strip: Strip) -> None:
        StripMembers(self.low, self.results, strip, self.finished).run(self.members)

    def finished(self, op: slmq.MatmulOp, strip: Strip) -> SSAValue:
        product = self.products[op]
        product.add_offsets(strip, product.products(strip))
        return product.finish(strip, self.final(product, strip))


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
