"""Fusion groups: a loop over strips of output columns. Each iteration streams the strip's weights in and finishes its columns.

A strip of a matmul in DRAM is a header (f32 scales of its rows, then f32 biases) followed by its rows; if the rows are too long
for the buffer they come as k-tiles, and the products accumulate. Weight buffers are marked `stream`: double-buffer rotates them.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, StringAttr, UnitAttr, i64
from xdsl.ir import Attribute, Operation, SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.elementwise import apply
from compiler.lowering.plan import StripShape, strip_shape
from compiler.lowering.sampling import finish_sampling, sample_strip, start_sampling
from compiler.lowering.tensors import columns_on_chip
from compiler.lowering.values import Lowering, Tensor, dies_at


@dataclass(frozen=True)
class Strip:
    """The columns of one iteration: the first one and how many, at most `rows`."""

    rows: int
    first: SSAValue
    count: Index


def header_bytes(op: slmq.MatmulOp, rows: int) -> int:
    """Scales and biases of one strip."""
    parts = (op.format.data == "i8") + (op.bias is not None)
    return parts * rows * 4


def strip_bytes(op: slmq.MatmulOp, rows: int) -> int:
    """Bytes from one strip to the next."""
    return header_bytes(op, rows) + rows * op.columns * element_bytes(op.format.data)


def lower_strips(low: Lowering, op: slmq.StripsOp) -> None:
    """See the module docstring."""
    b, columns = low.builder, op.columns.value.data
    members = [member for member in op.body.block.ops if not isinstance(member, slmq.YieldOp)]
    matmuls = [member for member in members if isinstance(member, slmq.MatmulOp)]
    end = op.body.block.last_op
    yielded = list(end.operands) if end is not None else []
    shapes = [strip_shape(low.plan, columns, m.columns, element_bytes(m.format.data), len(matmuls)) for m in matmuls]
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
        return [b.add(offset, strip_bytes(m, rows)) for m, offset in zip(matmuls, offsets, strict=True)]

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
    if op.format.data == "i8":
        what["scaled"] = UnitAttr()
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


def lower_matmul(
    low: Lowering, op: slmq.MatmulOp, shape: StripShape, offset: SSAValue, strip: Strip, final: SSAValue | None
) -> SSAValue:
    """Streams one strip of weights and multiplies; returns the f32 view of the strip's columns (`final` if given)."""
    b, x, rows = low.builder, low.values[op.x], strip.rows
    integer = op.format.data == "i8"
    place = Place("sram", b.alloc("products", low.plan.chunk * rows * 4, stream=True))
    extents: list[Index] = [strip.count, low.rows]
    products = b.view(place, "i32" if integer else "f32", extents, [4, rows * 4])
    if not integer and op.bias is None and final is not None:
        products = final
    scales = multiply(low, op, shape, offset, strip, x, products)
    current = products
    out = final if final is not None else b.view(place, "f32", extents, [4, rows * 4])
    if integer and op.scale is not None and scales is not None:
        b.vbin("mul", b.view(place, "f32", extents, [4, rows * 4]), products, b.view(scales, "f32", extents, [4, 0]))
        last = out if op.bias is None else b.view(place, "f32", extents, [4, rows * 4])
        row_scale = low.values[op.scale]
        current = b.view(place, "f32", extents, [4, rows * 4])
        b.vbin("mul", last, current, b.view(row_scale.place, "f32", extents, [0, row_scale.row_bytes]))
        current = last
    if op.bias is not None and scales is not None:
        bias = b.view(scales, "f32", extents, [4, 0], rows * 4 if integer else 0)
        b.vbin("add", out, current, bias)
        current = out
    return current


def multiply(
    low: Lowering, op: slmq.MatmulOp, shape: StripShape, offset: SSAValue, strip: Strip, x: Tensor, products: SSAValue
) -> Place | None:
    """products = x * rows. Returns where the strip's header is: with whole rows it comes in the same load."""
    header = header_bytes(op, strip.rows)
    if shape.k_tile == op.columns:
        return whole_rows(low, op, shape, offset, strip, x, products, header)
    scales = load_header(low, header, offset) if header else None
    accumulate_tiles(low, op, shape, low.builder.add(offset, header), strip, x, products)
    return scales


def load_header(low: Lowering, size_bytes: int, offset: SSAValue) -> Place:
    """The scales and biases of a strip, in SRAM."""
    b, words = low.builder, size_bytes // 4
    place = Place("sram", b.alloc("strip_header", size_bytes, stream=True))
    b.load(b.view(place, "f32", [words]), b.view(Place("weight", offset=offset), "f32", [words]))
    return place


def whole_rows(
    low: Lowering, op: slmq.MatmulOp, shape: StripShape, offset: SSAValue, strip: Strip, x: Tensor, products: SSAValue,
    header: int,
) -> Place | None:  # fmt: skip
    """One load brings header and rows, one contiguous run in DRAM."""
    b, dtype, row_bytes = low.builder, op.format.data, op.columns * element_bytes(op.format.data)
    buffer = Place("sram", b.alloc("weights", header + shape.rows * row_bytes, stream=True))
    size = b.add(b.mul(strip.count, row_bytes), header)
    b.load(b.view(buffer, "u8", [size], [1]), b.view(Place("weight", offset=offset), "u8", [size], [1]))
    strides = [element_bytes(dtype), row_bytes]
    weights = b.view(buffer, dtype, [op.columns, strip.count], strides, header)
    b.mm(products, b.view(x.place, dtype, [op.columns, low.rows], [strides[0], x.row_bytes]), weights)
    return buffer if header else None


def accumulate_tiles(
    low: Lowering, op: slmq.MatmulOp, shape: StripShape, offset: Index, strip: Strip, x: Tensor, products: SSAValue
) -> None:
    """The first k-tile starts the sums, the others add to them."""
    b, dtype, columns = low.builder, op.format.data, op.columns
    size = element_bytes(dtype)

    def k_tile(first: SSAValue, offsets: list[SSAValue]) -> list[Index]:
        count = shape.k_tile if columns % shape.k_tile == 0 else b.least(b.sub(columns, first), shape.k_tile)
        buffer = Place("sram", b.alloc("weights", shape.rows * shape.k_tile * size, stream=True))
        stride = b.mul(count, size)
        weights = b.view(buffer, dtype, [count, strip.count], [size, stride])
        b.load(weights, b.view(Place("weight", offset=offsets[0]), dtype, [count, strip.count], [size, stride]))
        a = b.view(x.place, dtype, [count, low.rows], [size, x.row_bytes], b.mul(first, size))
        starts = b.compare("eq", first, 0)
        b.when(starts, lambda: b.mm(products, a, weights), lambda: b.mm(products, a, weights, accumulate=True))
        return [b.add(offsets[0], b.mul(b.mul(count, strip.count), size))]

    b.loop(0, columns, shape.k_tile, k_tile, [offset])
