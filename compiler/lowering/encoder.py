"""The encoder of an image: values that pass between regions are whole tensors in SCRATCH; a region works on chunks of their rows.

Layers are rolled, as in the decoder: each layer reads and writes the same tensors. The rows that the encoder returns are a state
in KV, which the generate loop reads. Pixels, f32 [C, h, w], are written to IO by the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, BlockArgument, Operation, SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.dialects.slm import shape_of
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.full_attention import lower_full_attention
from compiler.lowering.images import image_rows_place
from compiler.lowering.kinds import kind_chain, layers_of
from compiler.lowering.layers import OUTSIDE
from compiler.lowering.spilling import value_name
from compiler.lowering.values import Lowering, Tensor, dies_at

MARK_IMAGE_LAYER = 2
PIXELS = "pixels"
LowerOp = Callable[[Lowering, Operation], None]


class Encoder:
    """`whole`: the tensors in DRAM. `lower_op` lowers an op that works row by row, on the rows in low.values."""

    def __init__(self, low: Lowering, lower_op: LowerOp):
        self.low, self.b, self.lower_op = low, low.builder, lower_op
        self.whole: dict[SSAValue, Tensor] = {}
        self.names = 0

    def run(self, body: Block) -> int:
        """Lowers the function; the number of rows that it gives."""
        pixels, end = body.args[0], body.last_op
        what = {"name": StringAttr(PIXELS), "size_bytes": IntegerAttr(4 * prod(shape_of(pixels)), i64)}
        place = Place("io", offset=self.b.place(tile.InputOp, what, None))
        self.whole[pixels] = Tensor(place, "f32", shape_of(pixels)[1:], shape_of(pixels)[0])
        self.block(body)
        assert isinstance(end, ReturnOp)
        rows = end.arguments[0]
        self.copy(self.whole[rows], self.state(rows))
        return shape_of(rows)[0]

    def state(self, value: SSAValue) -> Tensor:
        place = image_rows_place(self.low, shape_of(value))
        return Tensor(place, "f32", shape_of(value)[1:], shape_of(value)[0])

    def block(self, block: Block) -> None:
        for op in block.ops:
            if isinstance(op, slm.LayersOp):
                self.layers(op)
            elif isinstance(op, slmq.PatchesOp):
                self.patches(op)
            elif isinstance(op, slmq.ConcatOp):
                self.concat(op)
            elif isinstance(op, slmq.TensorOp):
                self.tensor(op)
            elif isinstance(op, slmq.RowsOp):
                self.rows(op)

    # Whole tensors

    def scratch(self, value: SSAValue) -> Tensor:
        """A new tensor in SCRATCH for a value."""
        shape, dtype = shape_of(value), slmq.element_of(value.type)
        name = StringAttr(f"{value_name(value, 'image', 'value')}.{self.names}")
        self.names += 1
        what = {"name": name, "size_bytes": IntegerAttr(prod(shape) * element_bytes(dtype), i64)}
        place = Place("scratch", offset=self.b.place(tile.ScratchOp, what, None))
        return Tensor(place, dtype, shape[1:], shape[0])

    def part(self, tensor: Tensor, first: Index, count: Index) -> Tensor:
        """Some rows of a whole tensor."""
        offset = self.b.add(tensor.place.offset, self.b.mul(first, tensor.row_bytes))
        return Tensor(Place(tensor.place.space, offset=offset), tensor.dtype, tensor.shape, count)

    def chunks(self, rows: int, body: Callable[[Index, Index], None]) -> None:
        """Runs the body for chunks of rows of about equal size, none larger than that of the plan."""
        count = -(-rows // self.low.most_rows)
        size = -(-rows // count)

        def chunk(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            b = self.b
            body(first, size if rows % size == 0 else b.least(b.sub(rows, first), size))
            return []

        self.b.loop(0, rows, size, chunk)

    def load(self, source: Tensor, first: Index, count: Index) -> Tensor:
        """Rows brought to SRAM."""
        target = self.low.new("image_rows", source.dtype, source.shape, count)
        self.transfer(self.b.load, target, self.part(source, first, count))
        return target

    def transfer(self, move: Callable[[SSAValue, SSAValue], None], target: Tensor, source: Tensor) -> None:
        flat = (target.columns,)
        move(self.low.view(target, flat), self.low.view(source, flat))

    def copy(self, source: Tensor, target: Tensor, first: int = 0) -> None:
        """All rows of a whole tensor to the rows of another one from `first` on."""
        if source.place == target.place:
            return
        assert isinstance(source.rows, int)

        def body(row: Index, count: Index) -> None:
            staged = self.load(source, row, count)
            self.transfer(self.b.store, self.part(target, self.b.add(row, first), count), staged)

        self.chunks(source.rows, body)

    def tensor(self, op: slmq.TensorOp) -> None:
        """The values of a weight: its rows, or what every row reads."""
        self.lower_op(self.low, op)
        shape = tuple(op.weight.shape)
        self.whole[op.result] = Tensor(self.low.values[op.result].place, "f32", shape[1:], shape[0])

    def concat(self, op: slmq.ConcatOp) -> None:
        out = self.whole[op.result] = self.scratch(op.result)
        self.copy(self.whole[op.a], out)
        self.copy(self.whole[op.b], out, shape_of(op.a)[0])

    def patches(self, op: slmq.PatchesOp) -> None:
        """Squares of the pixels become rows: some neighbours in one load, as far as a strip of weights would take."""
        b, size = self.b, op.size.value.data
        channels, height, width = shape_of(op.image)
        down, across = height // size, width // size
        out = self.whole[op.result] = self.scratch(op.result)
        most = max(1, self.low.plan.strip_bytes // out.row_bytes)
        count = max(n for n in range(1, across + 1) if across % n == 0 and n <= most)
        extents: list[Index] = [size, size, channels, count]
        strides = [4, width * 4, height * width * 4, size * 4]
        pixels = self.whole[op.image].place

        def squares(top: SSAValue, left: SSAValue) -> None:
            offset = b.add(b.mul(top, size * width * 4), b.mul(left, size * 4))
            staged = Place("sram", b.alloc("patches", count * out.row_bytes, stream=True))
            source = b.view(Place("io", offset=pixels.offset), "f32", extents, strides, offset)
            b.load(b.view(staged, "f32", extents), source)
            rows = self.part(out, b.add(b.mul(top, across), left), count)
            b.store(self.low.view(rows, (out.columns,)), b.view(staged, "f32", [out.columns, count]))

        def line(top: SSAValue, _: list[SSAValue]) -> list[Index]:
            def some(left: SSAValue, _: list[SSAValue]) -> list[Index]:
                squares(top, left)
                return []

            b.loop(0, across, count, some)
            return []

        b.loop(0, down, 1, line)

    # Regions

    def rows(self, op: slmq.RowsOp) -> None:
        outs = self.outputs(op)
        self.whole.update(zip(op.outs, outs, strict=True))
        self.chunks(op.rows, lambda first, count: self.chunk(op, outs, first, count))

    def outputs(self, op: slmq.RowsOp) -> list[Tensor]:
        """Where the results go: over an operand of the same type that dies here, or to a new tensor."""
        free = [v for v in op.operands_read if self.whole[v].place.space == "scratch" and dies_at(v, op)]
        tensors: list[Tensor] = []
        for out in op.outs:
            reused = next((value for value in free if value.type == out.type), None)
            if reused is not None:
                free.remove(reused)
            tensors.append(self.scratch(out) if reused is None else self.whole[reused])
        return tensors

    def chunk(self, op: slmq.RowsOp, outs: Sequence[Tensor], first: Index, count: Index) -> None:
        """The ops on one chunk. An operand is loaded before it is used, and before anything is stored over it."""
        low, end = self.low, op.body.block.last_op
        low.rows = low.chunk_rows = count
        targets = dict(zip(end.operands, outs, strict=True)) if end is not None else {}
        waiting = dict(zip(op.body.block.args, (self.whole[value] for value in op.operands_read), strict=True))

        def bring(argument: BlockArgument) -> None:
            low.values[argument] = self.load(waiting[argument], first, count)
            del waiting[argument]

        for member in op.body.block.ops:
            if member is end:
                break
            used = {value for inner in member.walk() for value in inner.operands}
            for argument in [argument for argument in waiting if argument in used]:
                bring(argument)
            self.member(member)
            for result in [result for result in member.results if result in targets]:
                place = targets[result].place
                for argument in [argument for argument, tensor in waiting.items() if tensor.place == place]:
                    bring(argument)
                self.transfer(self.b.store, self.part(targets[result], first, count), low.values[result])

    def member(self, op: Operation) -> None:
        if isinstance(op, slmq.FullAttentionOp):
            lower_full_attention(self.low, op, self.whole[op.k], self.whole[op.v])
        else:
            self.lower_op(self.low, op)

    # Layers

    def layers(self, op: slm.LayersOp) -> None:
        """Layer i reads and writes the same tensors; a body whose result is elsewhere copies it there."""
        low, b = self.low, self.b
        carried = [self.carried(op, value) for value in op.values]

        def layer(index: SSAValue, _: list[SSAValue]) -> list[Index]:
            low.layer = index
            b.mark(MARK_IMAGE_LAYER, index)
            kind_chain(low, op, index, lambda kind: self.kind(op, kind, carried))
            return []

        b.loop(0, len(op.layer_kinds), 1, layer)
        b.mark(MARK_IMAGE_LAYER, OUTSIDE)
        low.layer = None
        self.whole.update(zip(op.outs, carried, strict=True))

    def carried(self, op: slm.LayersOp, value: SSAValue) -> Tensor:
        """Where a carried value lives: the loop overwrites it, so a value that is still needed elsewhere is copied."""
        if self.whole[value].place.space == "scratch" and dies_at(value, op):
            return self.whole[value]
        copy = self.scratch(value)
        self.copy(self.whole[value], copy)
        return copy

    def kind(self, op: slm.LayersOp, kind: int, carried: Sequence[Tensor]) -> None:
        body, low = op.body(kind), self.low
        low.layers = layers_of(op, kind)
        self.whole.update(zip(body.args, carried, strict=True))
        self.block(body)
        end = body.last_op
        yielded = [self.whole[value] for value in end.operands] if end is not None else []
        places = [tensor.place for tensor in carried]
        sources = list(yielded)
        for index, source in enumerate(yielded):
            if source.place in places and source.place != places[index] and end is not None:
                sources[index] = self.scratch(end.operands[index])  # it lies where another one goes
                self.copy(source, sources[index])
        for source, target in zip(sources, carried, strict=True):
            self.copy(source, target)
