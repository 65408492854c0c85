"""Products of a strip: the strip's weights are streamed in and multiplied. Weight buffers are marked `stream`: double-buffer rotates them.

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
from compiler.lowering.values import Lowering, Tensor
from isa.spec import BLOCK_ROWS

SPARSE_UNIT = 8
"""Columns of 2:4 sparse rows whose values and positions are whole bytes."""


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
    """The columns of one iteration: the first one and how many, at most `rows`."""

    rows: int
    first: SSAValue
    count: Index


def layout_of(op: slmq.MatmulOp, rows: int) -> StripLayout:
    """Of strips of so many rows."""
    return StripLayout(op.weight_format, rows, op.columns, op.bias is not None)


def lower_matmul(
    low: Lowering, op: slmq.MatmulOp, shape: StripShape, offset: SSAValue, strip: Strip, final: SSAValue | None
) -> SSAValue:
    """Streams one strip of weights and multiplies; returns the f32 view of the strip's columns (`final` if given)."""
    return Product(low, op, shape, strip).run(offset, final)


class Product:
    """One matmul on one strip."""

    def __init__(self, low: Lowering, op: slmq.MatmulOp, shape: StripShape, strip: Strip):
        self.low, self.b, self.op, self.shape, self.strip = low, low.builder, op, shape, strip
        self.x = low.values[op.x]
        self.form: WeightFormat = op.weight_format
        self.layout = layout_of(op, strip.rows)
        total = stored_rows(self.form, op.rows)
        even = total % strip.rows == 0
        self.stored = strip.rows if even else self.b.least(self.b.sub(total, strip.first), strip.rows)
        self.integer = self.form.per_row and self.x.dtype == "i8"
        self.place = Place("sram", self.b.alloc("products", low.plan.chunk * strip.rows * WORD_BYTES, stream=True))

    def products(self, dtype: str = "f32") -> SSAValue:
        """The buffer of the products, [rows of the strip, tokens]."""
        strides: list[Index] = [WORD_BYTES, self.strip.rows * WORD_BYTES]
        return self.b.view(self.place, dtype, [self.strip.count, self.low.rows], strides)

    def run(self, offset: SSAValue, final: SSAValue | None) -> SSAValue:
        b, op = self.b, self.op
        steps = self.form.per_row + (op.scale is not None) + (op.bias is not None)
        current = self.products("i32" if self.integer else "f32")
        if not steps and final is not None:
            current = final
        header = self.multiply(offset, current)
        out = final if final is not None else self.products()
        sources = self.factors(header)
        for position, (function, source) in enumerate(sources):
            target = out if position == len(sources) - 1 else self.products()
            b.vbin(function, target, current, source)
            current = target
        return current

    def factors(self, header: Place | None) -> list[tuple[str, SSAValue]]:
        """What is done to the products: scales of the rows, scales of the tokens, biases."""
        b, op = self.b, self.op
        extents: list[Index] = [self.strip.count, self.low.rows]
        found: list[tuple[str, SSAValue]] = []
        if self.form.per_row and header is not None:
            found.append(("mul", b.view(header, "f32", extents, [WORD_BYTES, 0])))
        if op.scale is not None:
            scale = self.low.values[op.scale]
            found.append(("mul", b.view(scale.place, "f32", extents, [0, scale.row_bytes])))
        if op.bias is not None and header is not None:
            found.append(("add", b.view(header, "f32", extents, [WORD_BYTES, 0], self.layout.bias_offset)))
        return found

    def multiply(self, offset: SSAValue, products: SSAValue) -> Place | None:
        """products = x * rows. Returns where the strip's header is: with whole rows it comes in the same load."""
        size_bytes = self.layout.header_bytes
        if self.shape.k_tile == self.op.columns:
            buffer = self.whole_rows(offset, products)
            header = buffer if size_bytes else None
        else:
            header = self.load_header(offset) if size_bytes else None
            self.accumulate_tiles(self.b.add(offset, size_bytes), products, header)
        if self.op.sums is not None and header is not None:
            self.add_offsets(self.low.values[self.op.sums], header, products)
        return header

    def load(self, label: str, most_bytes: int, offset: Index, size_bytes: Index) -> Place:
        """A contiguous run of WEIGHT, in a buffer with room for `most_bytes`."""
        b = self.b
        place = Place("sram", b.alloc(label, most_bytes, stream=True))
        b.load(b.view(place, "u8", [size_bytes], [1]), b.view(Place("weight", offset=offset), "u8", [size_bytes], [1]))
        return place

    def load_header(self, offset: SSAValue) -> Place:
        """The header of a strip, in SRAM."""
        return self.load("strip_header", self.layout.header_bytes, offset, self.layout.header_bytes)

    def whole_rows(self, offset: SSAValue, products: SSAValue) -> Place:
        """One load brings header and rows, one contiguous run in DRAM."""
        b, row_bytes = self.b, stored_row_bytes(self.form, self.op.columns)
        header_bytes, strip_bytes = self.layout.header_bytes, self.layout.strip_bytes
        place = self.load("weights", strip_bytes, offset, b.add(b.mul(self.stored, row_bytes), header_bytes))
        self.product(products, Tile(place, header_bytes, 0, self.op.columns, self.layout.groups, row_bytes), place)
        return place

    def accumulate_tiles(self, offset: Index, products: SSAValue, header: Place | None) -> None:
        """The first k-tile starts the sums, the others add to them. Loops over units: the fewest columns of whole bytes."""
        b, columns, k_tile = self.b, self.op.columns, self.shape.k_tile
        unit = self.form.group or (SPARSE_UNIT if self.form.sparse else 1)
        unit_bytes = self.form.row_bytes(unit)
        most, total = k_tile // unit, stored_columns(self.form, columns) // unit

        def tile(first: SSAValue, offsets: list[SSAValue]) -> list[Index]:
            units = most if total % most == 0 else b.least(b.sub(total, first), most)
            row_bytes = b.mul(units, unit_bytes)
            size_bytes = b.mul(row_bytes, self.stored)
            place = self.load("weights", self.shape.rows * most * unit_bytes, offsets[0], size_bytes)
            start = b.mul(first, unit)
            count = b.mul(units, unit) if total * unit == columns else b.least(b.sub(columns, start), k_tile)
            self.product(products, Tile(place, 0, start, count, units, row_bytes), header, first)
            return [b.add(offsets[0], size_bytes)]

        b.loop(0, total, most, tile, [offset])

    def product(self, products: SSAValue, tile: Tile, header: Place | None, unit: SSAValue | None = None) -> None:
        """products (+)= x * the rows of a tile. Sums start at +0 if there is no counter of units, or where it is 0; a unit of a
        format with groups is a group."""
        b, form, x = self.b, self.form, self.x
        blocked = not form.sparse
        row_stride = b.mul(tile.row_bytes, BLOCK_ROWS) if blocked else tile.row_bytes
        size = 0 if blocked or form.is_packed else element_bytes(form.element)
        weights = b.view(
            tile.place, form.element, [tile.count, self.strip.count], [size, row_stride], tile.start,
            group=form.group, sparse=form.sparse, blocked=blocked,
        )  # fmt: skip
        x_size = element_bytes(x.dtype)
        rows = b.view(x.place, x.dtype, [tile.count, self.low.rows], [x_size, x.row_bytes], b.mul(tile.first, x_size))
        scales = None
        if form.group and header is not None:
            scales = self.group_scales(header, 0 if unit is None else unit, tile.groups)

        def run(accumulate: bool) -> None:
            if scales is None:
                b.mm(products, rows, weights, accumulate)
            else:
                b.mmg(products, rows, weights, scales, accumulate)

        if unit is None:
            run(False)
        else:
            b.when(b.compare("eq", unit, 0), lambda: run(False), lambda: run(True))

    def group_scales(self, header: Place, first: Index, count: Index) -> SSAValue:
        """The blocked scales of `count` groups from the first, [groups, rows of the strip]."""
        b, block_bytes = self.b, BLOCK_ROWS * self.form.scale_size_bytes
        strides: list[Index] = [0, self.layout.groups * block_bytes]
        offset = b.add(b.mul(first, block_bytes), self.layout.group_scales_offset)
        return b.view(header, self.form.scale_element, [count, self.strip.count], strides, offset, blocked=True)

    def add_offsets(self, sums: Tensor, header: Place, products: SSAValue) -> None:
        """products += sums of the groups * (scale * 8 + offset)."""
        b, layout, groups = self.b, self.layout, self.layout.groups
        count = self.strip.rows * groups
        place = Place("sram", b.alloc("group_offsets", count * WORD_BYTES, stream=True))
        scales, offsets = (
            b.view(header, "f16", [count], [HALF_BYTES], start)
            for start in (layout.group_scales_offset, layout.group_offsets_offset)
        )
        b.vmad("mad", b.view(place, "f32", [count], [WORD_BYTES]), scales, 8.0, offsets)
        strides: list[Index] = [0, groups * BLOCK_ROWS * WORD_BYTES]
        zeros = b.view(place, "f32", [groups, self.strip.count], strides, blocked=True)
        rows = b.view(sums.place, "f32", [groups, self.low.rows], [WORD_BYTES, sums.row_bytes])
        b.mm(products, rows, zeros, accumulate=True)
