"""Products of a strip: the strip's weights are streamed in and multiplied.

A strip is a header and rows in blocks of 16 (compiler/emit/strip_layout.py); if the rows are too long for the buffer they come as
k-tiles, and the products accumulate.
"""

from __future__ import annotations

from xdsl.ir import SSAValue

from compiler.emit.strip_layout import HALF_BYTES, WORD_BYTES
from compiler.formats import WeightFormat
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.spilling import blocks_view, staged_view
from compiler.lowering.values import Lowering, Tensor
from compiler.lowering.weight_stream import Strip, Tile, Turns, WeightStream
from compiler.sizes import to_granules
from isa.spec import BLOCK_ROWS


class Product:
    """One matmul of a loop over strips; each strip that is worked on at once has buffers of its own.

    multiply streams a strip in and multiplies; finish makes its columns of the products, while the next strip comes.
    """

    def __init__(self, low: Lowering, stream: WeightStream):
        self.low, self.b, self.stream, self.turns = low, low.builder, stream, stream.turns
        self.op, self.shape, self.layout = stream.op, stream.shape, stream.layout
        self.x = low.values[self.op.x]
        self.form: WeightFormat = stream.form
        self.integer = self.form.per_row and self.x.dtype == "i8"
        self.sums = self.buffer("products", low.most_rows * self.shape.rows * WORD_BYTES)
        stream.hold()

    @property
    def steps(self) -> int:
        """What is done to the products."""
        return self.form.per_row + (self.op.scale is not None) + (self.op.bias is not None) + (self.op.sums is not None)

    def buffer(self, label: str, size_bytes: int) -> Turns:
        """Room for each turn."""
        size_bytes = to_granules(size_bytes)
        return Turns(self.b.alloc(label, self.turns * size_bytes), size_bytes)

    def header(self, strip: Strip) -> Place:
        """Without a header nothing is read there."""
        place = self.stream.held_place(strip.turn)
        return self.sums.place(self.b, strip.turn) if place is None else place

    def products(self, strip: Strip, dtype: str = "f32") -> SSAValue:
        """The buffer of the products, [rows of the strip, tokens]."""
        strides: list[Index] = [WORD_BYTES, strip.rows * WORD_BYTES]
        return self.b.view(self.sums.place(self.b, strip.turn), dtype, [strip.count, self.low.rows], strides)

    def multiply(self, offset: SSAValue, strip: Strip, final: SSAValue | None) -> None:
        """The products of a strip, in their buffer, or in `final` if nothing is to be done to them."""
        current = self.products(strip, "i32" if self.integer else "f32") if self.steps or final is None else final
        if self.stream.is_whole:
            self.product(current, self.stream.whole(offset, strip), strip)
        else:
            self.stream.each_tile(offset, strip, lambda tile, unit: self.product(current, tile, strip, unit))

    def finish(self, strip: Strip, final: SSAValue | None) -> SSAValue:
        """The strip's columns as f32, in `final` if it is given."""
        b, header = self.b, self.header(strip)
        if not self.steps:
            return final if final is not None else self.products(strip)
        if self.op.sums is not None:
            self.add_offsets(self.low.values[self.op.sums], header, strip)
        current = self.products(strip, "i32" if self.integer else "f32")
        out = final if final is not None else self.products(strip)
        sources = self.factors(header, strip)
        if not sources and final is not None:
            b.vun("mov", final, current)
            return final
        for position, (function, source) in enumerate(sources):
            target = out if position == len(sources) - 1 else self.products(strip)
            b.vbin(function, target, current, source)
            current = target
        return current

    def factors(self, header: Place, strip: Strip) -> list[tuple[str, SSAValue]]:
        """What is done to the products: scales of the rows, scales of the tokens, biases."""
        b, op = self.b, self.op
        extents: list[Index] = [strip.count, self.low.rows]
        found: list[tuple[str, SSAValue]] = []
        if self.form.per_row:
            found.append(("mul", b.view(header, "f32", extents, [WORD_BYTES, 0])))
        if op.scale is not None:
            scale = self.low.values[op.scale]
            found.append(("mul", b.view(scale.place, "f32", extents, [0, scale.row_bytes])))
        if op.bias is not None:
            found.append(("add", b.view(header, "f32", extents, [WORD_BYTES, 0], self.layout.bias_offset)))
        return found

    def product(self, products: SSAValue, tile: Tile, strip: Strip, unit: SSAValue | None = None) -> None:
        """products (+)= x * the rows of a tile. Sums start at +0 if there is no counter of units, or where it is 0; a unit of a
        format with groups is a group."""
        b, rows = self.b, self.rows(tile)
        weights = self.weights(tile, strip)
        scales = self.group_scales(strip, unit or 0, tile.groups) if self.form.group else None

        def run(accumulate: bool) -> None:
            if scales is None:
                b.mm(products, rows, weights, accumulate)
            else:
                b.mmg(products, rows, weights, scales, accumulate)

        if unit is None:
            run(False)
        else:
            b.when(b.compare("eq", unit, 0), lambda: run(False), lambda: run(True))

    def rows(self, tile: Tile) -> SSAValue:
        """The tile's columns of x, [columns, tokens]; those of an x in SCRATCH are loaded."""
        b, x = self.b, self.x
        x_size = element_bytes(x.dtype)
        if not x.block:
            first = b.mul(tile.first, x_size)
            return b.view(x.place, x.dtype, [tile.count, self.low.rows], [x_size, x.row_bytes], first)
        row_bytes = self.shape.k_tile * x_size
        place = Place("sram", b.alloc("loaded_inputs", self.low.most_rows * row_bytes, stream=True))
        blocks = b.div(tile.count, x.block)
        outside = blocks_view(self.low, x, (0, self.low.rows), b.div(tile.first, x.block), blocks)
        b.load(staged_view(self.low, place, x, row_bytes, self.low.rows, blocks), outside)
        return b.view(place, x.dtype, [tile.count, self.low.rows], [x_size, row_bytes])

    def weights(self, tile: Tile, strip: Strip) -> SSAValue:
        """The rows of a tile, [columns, rows]."""
        b, form = self.b, self.form
        blocked = not form.sparse
        row_stride = b.mul(tile.row_bytes, BLOCK_ROWS) if blocked else tile.row_bytes
        size = 0 if blocked or form.is_packed else element_bytes(form.element)
        return b.view(
            tile.place, form.element, [tile.count, strip.count], [size, row_stride], tile.start,
            group=form.group, sparse=form.sparse, blocked=blocked,
        )  # fmt: skip

    def group_scales(self, strip: Strip, first: Index, count: Index) -> SSAValue:
        """The blocked scales of `count` groups from the first, [groups, rows of the strip]."""
        b, header, block_bytes = self.b, self.header(strip), BLOCK_ROWS * self.form.scale_size_bytes
        strides: list[Index] = [0, self.layout.groups * block_bytes]
        offset = b.add(b.mul(first, block_bytes), self.layout.group_scales_offset)
        return b.view(header, self.form.scale_element, [count, strip.count], strides, offset, blocked=True)

    def add_offsets(self, sums: Tensor, header: Place, strip: Strip) -> None:
        """products += sums of the groups * (scale * 8 + offset)."""
        b, layout, groups = self.b, self.layout, self.layout.groups
        count = strip.rows * groups
        place = Place("sram", b.alloc("group_offsets", count * WORD_BYTES))
        scales, offsets = (
            b.view(header, "f16", [count], [HALF_BYTES], start)
            for start in (layout.group_scales_offset, layout.group_offsets_offset)
        )
        b.vmad("mad", b.view(place, "f32", [count], [WORD_BYTES]), scales, 8.0, offsets)
        strides: list[Index] = [0, groups * BLOCK_ROWS * WORD_BYTES]
        zeros = b.view(place, "f32", [groups, strip.count], strides, blocked=True)
        rows = b.view(sums.place, "f32", [groups, self.low.rows], [WORD_BYTES, sums.row_bytes])
        b.mm(self.products(strip), rows, zeros, accumulate=True)
