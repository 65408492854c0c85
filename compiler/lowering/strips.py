"""Fusion groups: a loop over strips of output columns. Each iteration streams the strip's weights in and finishes its columns."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.builder import Index, Place
from compiler.lowering.elementwise import apply
from compiler.lowering.matmul import Strip, layout_of, lower_matmul
from compiler.lowering.plan import StripShape, strip_shape
from compiler.lowering.sampling import finish_sampling, sample_strip, start_sampling
from compiler.lowering.tensors import columns_on_chip
from compiler.lowering.values import Lowering, Tensor, dies_at


def lower_strips(low: Lowering, op: slmq.StripsOp) -> None:
    """See the module docstring."""
    b, columns = low.builder, op.columns.value.data
    members = [member for member in op.body.block.ops if not isinstance(member, slmq.YieldOp)]
    matmuls = [member for member in members if isinstance(member, slmq.MatmulOp)]
    end = op.body.block.last_op
    yielded = list(end.operands) if end is not None else []
    shapes = [strip_shape(low.plan, columns, m.columns, m.weight_format, len(matmuls)) for m in matmuls]
    rows = min(shape.rows for shape in shapes)
    tiles = {m: StripShape(rows, shape.k_tile) for m, shape in zip(matmuls, shapes, strict=True)}
    for value in yielded:
        if not isinstance(value.owner, slmq.SampleOp):
            low.values[value] = output_tensor(low, value)
    bases = [low.place(tile.WeightOp, recipe(m, tiles[m]), m.weight.key.data) for m in matmuls]
    for member in members:
        if isinstance(member, slmq.SampleOp):
            start_sampling(low)

    def body(first: SSAValue, offsets: list[SSAValue]) -> list[Index]:
        count = rows if columns % rows == 0 else b.least(b.sub(columns, first), rows)
        strip = Strip(rows, first, count)
        lower_members(low, members, yielded, strip, {m: (tiles[m], o) for m, o in zip(matmuls, offsets, strict=True)})
        return [b.add(offset, layout_of(m, rows).strip_bytes) for m, offset in zip(matmuls, offsets, strict=True)]

    b.loop(0, columns, rows, body, bases)
    for member in members:
        if isinstance(member, slmq.SampleOp):
            finish_sampling(low)
    for value, out in zip(yielded, op.outs, strict=True):
        if value in low.values:
            low.values[out] = low.values[value]


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


def output_tensor(low: Lowering, value: SSAValue) -> Tensor:
    """Where a value that leaves the group goes: over an operand from outside that dies with it, or to a new buffer."""
    producer = value.owner
    if isinstance(producer, Operation) and not isinstance(producer, slmq.MatmulOp):  # all strips read a matmul's input
        for operand in producer.operands:
            if operand in low.values and operand.type == value.type and dies_at(operand, producer):
                return low.values[operand]
    return low.result(value, "columns")


def lower_members(
    low: Lowering,
    members: list[Operation],
    yielded: list[SSAValue],
    strip: Strip,
    weights: dict[slmq.MatmulOp, tuple[StripShape, SSAValue]],
) -> None:
    """The ops of a group on one strip of columns."""
    local: dict[SSAValue, SSAValue] = {}

    def scratch() -> SSAValue:
        size = low.plan.chunk * strip.rows * 4
        place = Place("sram", low.builder.alloc("strip", size, stream=True))
        return low.builder.view(place, "f32", [strip.count, low.rows], [4, strip.rows * 4])

    def source(value: SSAValue) -> SSAValue:
        return local[value] if value in local else column_view(low, low.values[value], strip)

    for member in members:
        if isinstance(member, slmq.MatmulOp):
            shape, offset = weights[member]
            final = column_view(low, low.values[member.result], strip) if member.result in yielded else None
            local[member.result] = lower_matmul(low, member, shape, offset, strip, final)
        elif isinstance(member, slmq.SampleOp):
            sample_strip(low, local[member.logits], strip.rows, strip.first, strip.count, columns_of(member))
        else:
            result = member.results[0]
            reused = [v for v in member.operands if v in local and dies_at(v, member) and v not in yielded]
            whole = column_view(low, low.values[result], strip) if result in yielded else None
            target = whole or (local[reused[0]] if reused else scratch())
            apply(low, member, target, [source(v) for v in member.operands], scratch)
            local[result] = target


def columns_of(op: slmq.SampleOp) -> int:
    return slm.shape_of(op.logits)[1]


def column_view(low: Lowering, tensor: Tensor, strip: Strip) -> SSAValue:
    """The strip's columns of a whole tensor."""
    place, offset = columns_on_chip(low, tensor, strip.first, strip.count, strip.rows)
    return low.builder.view(place, "f32", [strip.count, low.rows], [4, tensor.row_stride], offset)
