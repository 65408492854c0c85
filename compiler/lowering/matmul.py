"""Products of a strip: the strip's weights are streamed in and multiplied.

A strip is a header and rows in blocks of 16 (compiler/emit/strip_layout.py); if the rows are too long for the buffer they come as
k-tiles, and the products accumulate.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.emit.strip_layout import (
    HALF_BYTES,
    WORD_BYTES,
    StripLayout,
    stored_columns,
    stored_row_bytes,
    stored_rows,
)
from compiler.formats import WeightFormat
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.plan import StripShape
from compiler.lowering.spilling import blocks_view, staged_view
from compiler.lowering.values import Lowering, Tensor
from compiler.sizes import to_granules
from isa.spec import BLOCK_ROWS

SPARSE_UNIT = 8
"""Columns of 2:4 sparse rows whose values and positions are whole bytes."""


@dataclass(frozen=True)
class Turns:
    """A buffer with room for each turn."""

    alloc: SSAValue
    size_bytes: int


@dataclass(frozen=True)
class Tile:
    """Columns of a strip in SRAM: the first one and how many, of how many groups, `start` bytes into a buffer, `row_bytes` a row."""

    place: Place
    start: int
    first: Index
    count: Index
    groups: Index
    row_bytes: Index


@dataclass(frozen=True)
class Strip:
    """The columns of one iteration: the first one and how many, at most `rows`. `turn`: which half of the buffers it has, 0 or 1."""

    rows: int
    first: Index
    count: Index
    turn: Index


def layout_of(op: slmq.MatmulOp, rows: int) -> StripLayout:
    """Of strips of so many rows."""
    return StripLayout(op.weight_format, rows, op.columns, op.bias is not None)


class Product:
    """One matmul of a loop over strips. `turns`: how many strips are worked on at once, 1 or 2; each has buffers of its own.

    multiply streams a strip in and multiplies; finish makes its columns of the products, while the next strip comes.
    """

    def __init__(self, low: Lowering, op: slmq.MatmulOp, shape: StripShape, turns: int):
        self.low, self.b, self.op, self.shape = low, low.builder, op, shape
        self.x = low.values[op.x]
        self.form: WeightFormat = op.weight_format
        self.layout = layout_of(op, shape.rows)
        self.integer = self.form.per_row and self.x.dtype == "i8"
        self.is_whole = shape.k_tile == op.columns
        self.turns = turns
        self.sums = self.buffer("products", low.most_rows * shape.rows * WORD_BYTES)
        streamed = self.layout.strip_bytes if self.is_whole else self.layout.header_bytes
        label = "weights" if self.is_whole else "strip_header"
        self.streamed = (
            self.buffer(label, streamed) if streamed else self.sums
        )  # without a header nothing is read there

    @property
    def steps(self) -> int:
        """What is done to the products."""
        return self.form.per_row + (self.op.scale is not None) + (self.op.bias is not None) + (self.op.sums is not None)

    def buffer(self, label: str, size_bytes: int) -> Turns:
        """Room for each turn."""
        size_bytes = to_granules(size_bytes)
        return Turns(self.b.alloc(label, self.turns * size_bytes), size_bytes)

    def place(self, buffer: Turns, strip: Strip) -> Place:
        return Place("sram", buffer.alloc, self.b.mul(strip.turn, buffer.size_bytes))

    def products(self, strip: Strip, dtype: str = "f32") -> SSAValue:
        """The buffer of the products, [rows of the strip, tokens]."""
        strides: list[Index] = [WORD_BYTES, strip.rows * WORD_BYTES]
        return self.b.view(self.place(self.sums, strip), dtype, [strip.count, self.low.rows], strides)

    def stored(self, strip: Strip) -> Index:
        """Rows of the strip with those that fill its last block."""
        total = stored_rows(self.form, self.op.rows)
        return strip.rows if total % strip.rows == 0 else self.b.least(self.b.sub(total, strip.first), strip.rows)

    def multiply(self, offset: SSAValue, strip: Strip, final: SSAValue | None) -> None:
        """The products of a strip, in their buffer, or in `final` if nothing is to be done to them."""
        current = self.products(strip, "i32" if self.integer else "f32") if self.steps or final is None else final
        if self.is_whole:
            self.whole_rows(offset, strip, current)
            return
        if self.layout.header_bytes:
            size_bytes = self.layout.header_bytes
            self.load(self.place(self.streamed, strip), offset, size_bytes)
        self.accumulate_tiles(self.b.add(offset, self.layout.header_bytes), strip, current)

    def finish(self, strip: Strip, final: SSAValue | None) -> SSAValue:
        """The strip's columns as f32, in `final` if it is given."""
        b, header = self.b, self.place(self.streamed, strip)
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

    def load(self, target: Place, offset: Index, size_bytes: Index) -> None:
        """A contiguous run of WEIGHT."""
        b, source = self.b, Place("weight", offset=offset)
        b.load(b.view(target, "u8", [size_bytes], [1]), b.view(source, "u8", [size_bytes], [1]))

    def whole_rows(self, offset: SSAValue, strip: Strip, products: SSAValue) -> None:
        """One load brings header and rows, one contiguous run in DRAM."""
        b, row_bytes = self.b, stored_row_bytes(self.form, self.op.columns)
        place, header_bytes = self.place(self.streamed, strip), self.layout.header_bytes
        self.load(place, offset, b.add(b.mul(self.stored(strip), row_bytes), header_bytes))
        self.product(products, Tile(place, header_bytes, 0, self.op.columns, self.layout.groups, row_bytes), strip)

    def accumulate_tiles(self, offset: Index, strip: Strip, products: SSAValue) -> None:
        """The first k-tile starts the sums, the others add to them. Loops over units: the fewest columns of whole bytes."""
        b, columns, k_tile = self.b, self.op.columns, self.shape.k_tile
        unit = self.form.group or (SPARSE_UNIT if self.form.sparse else 1)
        unit_bytes = self.form.row_bytes(unit)
        most, total = k_tile // unit, stored_columns(self.form, columns) // unit

        def tile(first: SSAValue, offsets: list[SSAValue]) -> list[Index]:
            units = most if total % most == 0 else b.least(b.sub(total, first), most)
            row_bytes = b.mul(units, unit_bytes)
            size_bytes = b.mul(row_bytes, self.stored(strip))
            place = Place("sram", b.alloc("weights", self.shape.rows * most * unit_bytes, stream=True))
            self.load(place, offsets[0], size_bytes)
            start = b.mul(first, unit)
            count = b.mul(units, unit) if total * unit == columns else b.least(b.sub(columns, start), k_tile)
            self.product(products, Tile(place, 0, start, count, units, row_bytes), strip, first)
            return [b.add(offsets[0], size_bytes)]

        b.loop(0, total, most, tile, [offset])

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
        b, header, block_bytes = self.b, self.place(self.streamed, strip), BLOCK_ROWS * self.form.scale_size_bytes
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
