"""Products of a strip: the strip's weights are streamed in and multiplied. Weight buffers are marked `stream`: double-buffer rotates them.

A strip is a header and rows (compiler/emit/strip_layout.py); if the rows are too long for the buffer they come as k-tiles, and the
products accumulate.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.emit.strip_layout import HALF_BYTES, WORD_BYTES, StripLayout
from compiler.formats import WeightFormat
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.plan import StripShape
from compiler.lowering.values import Lowering, Tensor

SPARSE_UNIT = 8
"""Columns of 2:4 sparse rows whose values and positions are whole bytes."""


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

    def load_header(self, offset: SSAValue) -> Place:
        """The header of a strip, in SRAM."""
        b, words = self.b, self.layout.header_bytes // WORD_BYTES
        place = Place("sram", b.alloc("strip_header", self.layout.header_bytes, stream=True))
        b.load(b.view(place, "f32", [words]), b.view(Place("weight", offset=offset), "f32", [words]))
        return place

    def whole_rows(self, offset: SSAValue, products: SSAValue) -> Place:
        """One load brings header and rows, one contiguous run in DRAM."""
        b, row_bytes, header_bytes = self.b, self.form.row_bytes(self.op.columns), self.layout.header_bytes
        buffer = Place("sram", b.alloc("weights", header_bytes + self.shape.rows * row_bytes, stream=True))
        size = b.add(b.mul(self.strip.count, row_bytes), header_bytes)
        b.load(b.view(buffer, "u8", [size], [1]), b.view(Place("weight", offset=offset), "u8", [size], [1]))
        unit = self.form.group or 1
        self.product(products, (buffer, header_bytes), buffer, (0, self.op.columns // unit, unit), row_bytes)
        return buffer

    def accumulate_tiles(self, offset: Index, products: SSAValue, header: Place | None) -> None:
        """The first k-tile starts the sums, the others add to them. Loops over units: the fewest columns of whole bytes."""
        b, columns, k_tile = self.b, self.op.columns, self.shape.k_tile
        unit = self.form.group or (SPARSE_UNIT if self.form.sparse else 1)
        unit_bytes = self.form.row_bytes(unit)

        def tile(first: SSAValue, offsets: list[SSAValue]) -> list[Index]:
            most, total = k_tile // unit, columns // unit
            units = most if total % most == 0 else b.least(b.sub(total, first), most)
            buffer = Place("sram", b.alloc("weights", self.shape.rows * most * unit_bytes, stream=True))
            row_bytes, size = b.mul(units, unit_bytes), b.mul(b.mul(units, self.strip.count), unit_bytes)
            source = Place("weight", offset=offsets[0])
            if unit == 1:
                extents: list[Index] = [units, self.strip.count]
                strides: list[Index] = [unit_bytes, row_bytes]
                dtype = self.form.element
                b.load(b.view(buffer, dtype, extents, strides), b.view(source, dtype, extents, strides))
            else:
                b.load(b.view(buffer, "u8", [size], [1]), b.view(source, "u8", [size], [1]))
            self.product(products, (buffer, 0), header, (first, units, unit), row_bytes, first)
            return [b.add(offsets[0], size)]

        b.loop(0, columns // unit, k_tile // unit, tile, [offset])

    def product(
        self, products: SSAValue, buffer: tuple[Place, int], header: Place | None, units: tuple[Index, Index, int],
        row_bytes: Index, counter: SSAValue | None = None,
    ) -> None:  # fmt: skip
        """products (+)= x * the rows in a buffer. `units`: the first one, how many, and the columns of each; a unit of a format with
        groups is a group. The sums start at +0 if there is no counter, or where it is 0."""
        b, form, x = self.b, self.form, self.x
        place, start = buffer
        first, count = b.mul(units[0], units[2]), b.mul(units[1], units[2])
        size = 0 if form.element == "i4" else element_bytes(form.element)
        weights = b.view(
            place, form.element, [count, self.strip.count], [size, row_bytes], start,
            group=form.group, sparse=form.sparse,
        )  # fmt: skip
        x_size = element_bytes(x.dtype)
        rows = b.view(x.place, x.dtype, [count, self.low.rows], [x_size, x.row_bytes], b.mul(first, x_size))
        scales = None
        if form.group and header is not None:
            scales = self.group_view(header, self.layout.group_scales_offset, units[0], units[1])

        def run(accumulate: bool) -> None:
            if scales is None:
                b.mm(products, rows, weights, accumulate)
            else:
                b.mmg(products, rows, weights, scales, accumulate)

        if counter is None:
            run(False)
        else:
            b.when(b.compare("eq", counter, 0), lambda: run(False), lambda: run(True))

    def group_view(self, header: Place, offset: int, first: Index, count: Index) -> SSAValue:
        """The f16 numbers of `count` groups from the first, [groups, rows of the strip]."""
        b = self.b
        strides: list[Index] = [HALF_BYTES, self.layout.groups * HALF_BYTES]
        return b.view(header, "f16", [count, self.strip.count], strides, b.add(b.mul(first, HALF_BYTES), offset))

    def add_offsets(self, sums: Tensor, header: Place, products: SSAValue) -> None:
        """products += sums of the groups * (scale * 8 + offset)."""
        b, groups, layout = self.b, self.layout.groups, self.layout
        place = Place("sram", b.alloc("group_offsets", self.strip.rows * groups * WORD_BYTES, stream=True))
        zeros = b.view(place, "f32", [groups, self.strip.count], [WORD_BYTES, groups * WORD_BYTES])
        scales, offsets = (
            self.group_view(header, start, 0, groups)
            for start in (layout.group_scales_offset, layout.group_offsets_offset)
        )
        b.vmad("mad", zeros, scales, 8.0, offsets)
        rows = b.view(sums.place, "f32", [groups, self.low.rows], [WORD_BYTES, sums.row_bytes])
        b.mm(products, rows, zeros, accumulate=True)
