"""Products of a strip: the strip's weights are streamed in and multiplied.

A strip is some blocks of 16 rows (compiler/emit/weight_layout.py); if the rows are too long for the buffer they come as k-tiles, and
the products accumulate.
"""

from __future__ import annotations

from copy import copy

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.emit.weight_layout import HALF_BYTES, WORD_BYTES
from compiler.formats import WeightFormat
from compiler.lowering.builder import Index, Place, element_bytes, rows_of_view, select
from compiler.lowering.row_numbers import RowNumbers
from compiler.lowering.spilling import blocks_view, staged_view
from compiler.lowering.strip_buffers import Room, Strip, Tile, Turns
from compiler.lowering.values import Lowering, rows_of
from compiler.lowering.weight_stream import WeightStream
from compiler.sizes import to_granules
from isa.spec import BLOCK_ROWS

NUMBERS_SHARE = 8
"""Scales and biases stay in SRAM for all strips of a loop if they take at most this part of a strip's weights."""


ACCUMULATED_ROWS = 128
"""Rows of inputs whose sums stay in the matrix unit. More are multiplied in two halves: a few rows cost as much as the load of weights."""


def steps_of(op: slmq.MatmulOp) -> int:
    """How many things are done to the products."""
    return op.weight_format.per_row + (op.scale is not None) + (op.bias is not None) + (op.sums is not None)


class Product:
    """One matmul of a loop over strips. `span`: columns of the result that are finished at once, `turns`: how many such parts are worked
    on at once; each of them has buffers of its own, `sums` if they are given. `base`: where the weight begins in DRAM.

    multiply makes the products of a strip, finish the columns of a part from them.
    """

    def __init__(
        self, low: Lowering, stream: WeightStream, base: SSAValue, span: int, turns: int, sums: Turns | None = None
    ):
        self.low, self.b, self.stream, self.base, self.span, self.turns = low, low.builder, stream, base, span, turns
        self.op, self.shape, self.layout = stream.op, stream.shape, stream.layout
        self.x = low.values[self.op.x]
        self.first: Index = 0
        self.form: WeightFormat = stream.form
        self.integer = self.form.per_row and self.x.dtype == "i8"
        room = self.sums_room(low, span, turns)
        self.sums = sums or room.at(self.b.alloc(room.label, room.size_bytes))
        self.half = None if low.most_rows <= ACCUMULATED_ROWS else self.first_half()
        self.numbers = RowNumbers(self.b, self.layout, self.numbers_at_once(), turns)
        stream.hold()

    @staticmethod
    def sums_room(low: Lowering, span: int, turns: int) -> Room:
        return Room("products", to_granules(low.most_rows * span * WORD_BYTES), turns)

    def of_rows(self, part: Lowering, first: Index) -> Product:
        """For some rows of the input, from `first` on, in the same buffers. `part`: a lowering of these rows."""
        product = copy(self)
        product.low, product.first, product.x = part, first, rows_of(self.low, self.x, first, part.rows)
        product.half = None
        return product

    def first_half(self) -> Index:
        """How many rows are multiplied at first, the others behind them: all, or half of more than the unit takes at once."""
        b, rows = self.b, self.low.rows
        return select(b, b.compare("sgt", rows, ACCUMULATED_ROWS), b.value(b.div(b.add(rows, 1), 2)), rows)

    def numbers_at_once(self) -> int:
        """Columns whose scales and biases are loaded at once: all, if they are small beside a strip."""
        layout, plan = self.layout, self.low.plan
        return (
            layout.rows
            if layout.row_arrays * layout.row_array_bytes <= plan.strip_bytes // NUMBERS_SHARE
            else self.span
        )

    def load_all_numbers(self) -> None:
        """Scales and biases, if they are loaded once."""
        if self.numbers.is_all:
            self.numbers.load(self.base, 0, self.layout.rows, 0)

    def load_numbers(self, part: Strip) -> None:
        """Those of a part, unless they have been loaded."""
        if not self.numbers.is_all:
            self.numbers.load(self.base, part.first, part.count, part.turn)

    def load(self, strip: Strip) -> None:
        """Of a strip what is loaded before its product: all, or the numbers of the groups."""
        if self.stream.is_whole:
            self.stream.load_strip(self.base, strip)
        else:
            self.stream.load_numbers(self.base, strip)

    def products(self, part: Strip, inside: Index = 0, count: Index | None = None) -> SSAValue:
        """The sums of a part, [columns, tokens]; those of `count` columns from one of them on."""
        strides: list[Index] = [WORD_BYTES, part.rows * WORD_BYTES]
        extents: list[Index] = [part.count if count is None else count, self.low.rows]
        dtype, before = "i32" if self.integer else "f32", self.b.mul(self.first, part.rows * WORD_BYTES)
        offset = self.b.add(before, self.b.mul(inside, WORD_BYTES))
        return self.b.view(self.sums.place(self.b, part.turn), dtype, extents, strides, offset)

    def multiply(self, strip: Strip, target: SSAValue, is_ahead: bool = False) -> None:
        """The products of a strip; `is_ahead`: of all k-tiles the first ones are there."""
        if self.stream.is_whole:
            self.product(target, self.stream.whole(strip), strip)
        else:
            self.stream.each_tile(
                self.base, strip, lambda tile, unit: self.product(target, tile, strip, unit), is_ahead
            )

    def multiply_ahead(self, strip: Strip) -> None:
        """The products of a strip whose weights came ahead, in their buffer."""
        target = self.products(strip)
        for tile, unit in self.stream.tiles_ahead(strip):
            self.product(target, tile, strip, unit)

    def finish(self, part: Strip, final: SSAValue | None) -> SSAValue:
        """A part's columns as f32, in `final` if it is given."""
        b = self.b
        if not steps_of(self.op):
            return final if final is not None else self.products(part)
        current = self.products(part)
        floats = b.view(
            self.sums.place(b, part.turn), "f32", [part.count, self.low.rows], [WORD_BYTES, part.rows * WORD_BYTES]
        )
        out = final if final is not None else floats
        sources = self.factors(part)
        if not sources and final is not None:
            b.vun("mov", final, current)
            return final
        for position, (function, source) in enumerate(sources):
            target = out if position == len(sources) - 1 else floats
            b.vbin(function, target, current, source)
            current = target
        return current

    def factors(self, part: Strip) -> list[tuple[str, SSAValue]]:
        """What is done to the products: scales of the rows, scales of the tokens, biases."""
        b, op = self.b, self.op
        extents: list[Index] = [part.count, self.low.rows]
        found: list[tuple[str, SSAValue]] = []
        if self.form.per_row:
            found.append(("mul", b.view(self.numbers.place(0, part), "f32", extents, [WORD_BYTES, 0])))
        if op.scale is not None:
            scale = self.low.values[op.scale]
            found.append(("mul", b.view(scale.place, "f32", extents, [0, scale.row_bytes])))
        if op.bias is not None:
            place = self.numbers.place(int(self.form.per_row), part)
            found.append(("add", b.view(place, "f32", extents, [WORD_BYTES, 0])))
        return found

    def product(self, products: SSAValue, tile: Tile, strip: Strip, unit: Index | None = None) -> None:
        """products (+)= x * the rows of a tile. Sums start at +0 if there is no counter of units, or where it is 0; a unit of a
        format with groups is a group."""
        b, rows = self.b, self.rows(tile)
        weights = self.weights(tile, strip)
        scales = self.group_scales(strip, tile, unit or 0) if self.form.group else None

        def multiply(products: SSAValue, rows: SSAValue, accumulate: bool) -> None:
            if scales is None:
                b.mm(products, rows, weights, accumulate)
            else:
                b.mmg(products, rows, weights, scales, accumulate)

        def run(accumulate: bool) -> None:
            half = self.half
            if half is None:
                multiply(products, rows, accumulate)
                return
            rest = b.sub(self.low.rows, half)

            def others() -> None:
                multiply(rows_of_view(b, products, half, rest), rows_of_view(b, rows, half, rest), accumulate)

            multiply(rows_of_view(b, products, 0, half), rows_of_view(b, rows, 0, half), accumulate)
            b.when(b.compare("ne", rest, 0), others)

        if unit is None or isinstance(unit, int):
            run(bool(unit))
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
        size = 0 if blocked or form.is_packed else element_bytes(form.element)
        return b.view(
            tile.place, form.element, [tile.count, strip.count], [size, tile.stride_bytes], tile.start,
            group=form.group, sparse=form.sparse, blocked=blocked,
        )  # fmt: skip

    def group_scales(self, strip: Strip, tile: Tile, first: Index) -> SSAValue:
        """The blocked scales of a tile's groups, [groups, rows of the strip]; the first of them is the group `first` of the rows."""
        place, offset, stride = self.stream.scales(strip, tile, first)
        extents: list[Index] = [tile.groups, strip.count]
        return self.b.view(place, self.form.scale_element, extents, [0, stride], offset, blocked=True)

    def add_offsets(self, strip: Strip, target: SSAValue) -> None:
        """Products of a strip += sums of the groups * (scale * 8 + offset)."""
        if self.op.sums is None:
            return
        b, layout, sums = self.b, self.layout, self.low.values[self.op.sums]
        header = self.stream.held_place(strip.turn)
        assert header is not None
        block, stride = BLOCK_ROWS * layout.groups, self.stream.numbers_stride
        place = Place("sram", b.alloc("group_offsets", self.stream.blocks * block * WORD_BYTES))
        extents: list[Index] = [block, self.stream.blocks_of(strip)]
        scales, offsets = (
            b.view(header, "f16", extents, [HALF_BYTES, stride], start) for start in (0, layout.block_scales_bytes)
        )
        b.vmad("mad", b.view(place, "f32", extents, [WORD_BYTES, block * WORD_BYTES]), scales, 8.0, offsets)
        strides: list[Index] = [0, block * WORD_BYTES]
        zeros = b.view(place, "f32", [layout.groups, strip.count], strides, blocked=True)
        rows = b.view(sums.place, "f32", [layout.groups, self.low.rows], [WORD_BYTES, sums.row_bytes])
        b.mm(target, rows, zeros, accumulate=True)
