"""Fusion groups: a loop over strips of output columns. Each turn streams a strip's weights in and finishes the columns of one."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.builder import Index, Place, place_of
from compiler.lowering.elementwise import apply
from compiler.lowering.matmul import Product, Strip
from compiler.lowering.plan import StripShape, strip_shapes
from compiler.lowering.sampling import finish_sampling, sample_strip, start_sampling
from compiler.lowering.spilling import blocks_view, new_spilled, staged_view
from compiler.lowering.tensors import columns_on_chip
from compiler.lowering.values import Lowering, Tensor, dies_at


def lower_strips(low: Lowering, op: slmq.StripsOp) -> None:
    """See the module docstring."""
    members = [member for member in op.body.block.ops if not isinstance(member, slmq.YieldOp)]
    end = op.body.block.last_op
    yielded = list(end.operands) if end is not None else []
    for value in yielded:
        if not isinstance(value.owner, slmq.SampleOp):
            low.values[value] = output_tensor(low, value, op.outs[yielded.index(value)])
    for member in members:
        if isinstance(member, slmq.SampleOp):
            start_sampling(low)
    StripLoop(low, op, members, yielded).run()
    for member in members:
        if isinstance(member, slmq.SampleOp):
            finish_sampling(low)
    for value, out in zip(yielded, op.outs, strict=True):
        if value in low.values:
            low.values[out] = low.values[value]


class StripLoop:
    """The loop of a group: each turn multiplies one strip and finishes the one before.

    An engine takes few instructions ahead of time. If a strip's vector instructions came before the next strip's load, the load
    would not be issued before the product is done, and DRAM would wait for it.
    """

    def __init__(self, low: Lowering, op: slmq.StripsOp, members: list[Operation], yielded: list[SSAValue]):
        self.low, self.b, self.members, self.yielded = low, low.builder, members, yielded
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
        result = product.op.result
        is_whole = result in self.yielded and not self.low.values[result].block
        return column_view(self.low, self.low.values[result], strip) if is_whole else None

    def finish(self, strip: Strip) -> None:
        lower_members(self.low, self.members, self.yielded, strip, self.finished)

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


def lower_members(
    low: Lowering,
    members: list[Operation],
    yielded: list[SSAValue],
    strip: Strip,
    finished: Callable[[slmq.MatmulOp, Strip], SSAValue],
) -> None:
    """The ops of a group on one strip of columns."""
    local: dict[SSAValue, SSAValue] = {}

    def scratch() -> SSAValue:
        size = low.most_rows * strip.rows * 4
        place = Place("sram", low.builder.alloc("strip", size, stream=True))
        return low.builder.view(place, "f32", [strip.count, low.rows], [4, strip.rows * 4])

    def source(value: SSAValue) -> SSAValue:
        return local[value] if value in local else column_view(low, low.values[value], strip)

    for member in members:
        if isinstance(member, slmq.MatmulOp):
            local[member.result] = finished(member, strip)
        elif isinstance(member, slmq.SampleOp):
            sample_strip(low, local[member.logits], strip.rows, strip.first, strip.count, columns_of(member))
        else:
            result = member.results[0]
            reused = [v for v in member.operands if v in local and dies_at(v, member) and v not in yielded]
            is_whole = result in yielded and not low.values[result].block
            whole = column_view(low, low.values[result], strip) if is_whole else None
            target = whole or (local[reused[0]] if reused else scratch())
            apply(low, member, target, [source(v) for v in member.operands], scratch)
            local[result] = target
        for result in [r for r in member.results if r in yielded and r in local and low.values[r].block]:
            store_columns(low, low.values[result], local[result], strip)


def blocks_of(low: Lowering, tensor: Tensor, strip: Strip) -> tuple[SSAValue, Callable[[Place], SSAValue]]:
    """The strip's columns of a tensor in SCRATCH, and the view of the same elements in a buffer of the strip."""
    b, block = low.builder, tensor.block
    first, count = b.div(strip.first, block), b.div(strip.count, block)
    outside = blocks_view(low, tensor, (0, low.rows), first, count)
    return outside, lambda place: staged_view(low, place, tensor, strip.rows * 4, low.rows, count)


def load_columns(low: Lowering, tensor: Tensor, strip: Strip) -> SSAValue:
    """The strip's columns of a tensor in SCRATCH."""
    b, (outside, inside) = low.builder, blocks_of(low, tensor, strip)
    place = Place("sram", b.alloc("loaded_columns", low.most_rows * strip.rows * 4, stream=True))
    b.load(inside(place), outside)
    return b.view(place, "f32", [strip.count, low.rows], [4, strip.rows * 4])


def store_columns(low: Lowering, tensor: Tensor, columns: SSAValue, strip: Strip) -> None:
    """Columns in a buffer of the strip to their place in SCRATCH."""
    outside, inside = blocks_of(low, tensor, strip)
    low.builder.store(outside, inside(place_of(low.builder, columns)))


def columns_of(op: slmq.SampleOp) -> int:
    return slm.shape_of(op.logits)[1]


def column_view(low: Lowering, tensor: Tensor, strip: Strip) -> SSAValue:
    """The strip's columns of a whole tensor; one in SCRATCH is loaded."""
    if tensor.block:
        return load_columns(low, tensor, strip)
    place, offset = columns_on_chip(low, tensor, strip.first, strip.count, strip.rows)
    return low.builder.view(place, "f32", [strip.count, low.rows], [4, tensor.row_stride], offset)
