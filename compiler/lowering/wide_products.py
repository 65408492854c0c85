"""Products whose input is quantised beside them: all columns of the result at once, one tile of the input after the other.

A down projection reads what its MLP has made, rows of f32 that lie in DRAM. Were they quantised first, the matrix unit would wait until
they have come. But the sums of all columns fit in SRAM, so that each tile of the input is needed once:

    for tiles of the input: for strips of the result: sums[strip] += tile * weights[strip, tile]
                                                      a part of the next tile is loaded and quantised

The first tile is the columns that stayed in SRAM (late_rows.py). Strips are finished with the last one. Integer sums are exact in any
order. A result that only regions of rows read stays where its sums are.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm import row_shape
from compiler.lowering.builder import Index, Place
from compiler.lowering.late_rows import LateRows
from compiler.lowering.matmul import Product
from compiler.lowering.row_strips import weight_place
from compiler.lowering.strip_buffers import TILE_TURNS, Strip, Tile, Turns
from compiler.lowering.strip_members import Results, StripMembers
from compiler.lowering.strip_shapes import can_stay_in_sums
from compiler.lowering.values import Lowering, Tensor
from compiler.lowering.wide_streams import WideStreams
from compiler.sizes import to_granules


class WideProduct(Product):
    """The sums of each strip have a place of their own: a strip's number is its turn."""

    def __init__(self, low: Lowering, streams: WideStreams, base: SSAValue):
        super().__init__(low, streams.stream, base, streams.rows, streams.columns // streams.rows)
        self.tile_columns = self.shape.k_tile
        tile_bytes = to_granules(low.most_rows * self.tile_columns)
        self.slots = Turns(self.b.alloc("tiles", TILE_TURNS * tile_bytes), tile_bytes)

    def in_blocks(self, value: SSAValue) -> Tensor:
        """The result where its sums are: strip after strip, [tokens, columns] each."""
        place, rows = Place("sram", self.sums.alloc), self.span
        return Tensor(place, "f32", row_shape(value), self.low.rows, block=rows, most=self.low.most_rows)

    def slot_view(self, slot: Index, first: Index, count: Index) -> SSAValue:
        """Columns of a quantised tile, [count, tokens]."""
        strides = [1, self.tile_columns]
        return self.b.view(self.slots.place(self.b, slot), "i8", [count, self.low.rows], strides, first)

    def rows(self, tile: Tile) -> SSAValue:
        """`tile.first` is the slot: a tile is multiplied whole."""
        return self.slot_view(tile.first, 0, tile.count)


@dataclass(frozen=True)
class TileTurn:
    """A tile of the input: its first column, how many, where it lies; the first column of the next one, None behind the last one."""

    first: Index
    count: int
    slot: Index
    following: Index | None

    @property
    def is_last(self) -> bool:
        return self.following is None


def stays_in_sums(low: Lowering, value: SSAValue, out: SSAValue) -> bool:
    """Whether a value that leaves a group as `out` stays where its sums are: it would have to go to DRAM, and come back some rows at a
    time."""
    return low.plan.staying > 0 and out in low.spilled and can_stay_in_sums(low.plan, value, out)


class WideLoop:
    """See the module docstring."""

    def __init__(self, low: Lowering, streams: WideStreams, members: list[Operation], results: Results):
        self.low, self.b, self.streams, self.members, self.results = low, low.builder, streams, members, results
        self.late: LateRows = low.late.pop(streams.late)
        self.shape, self.rows, self.columns = self.late.shape, streams.rows, streams.columns
        streams.hold()
        self.wide = WideProduct(low, streams, weight_place(low, streams.stream))
        if results.places.get(streams.product.result) is None:
            results.places[streams.product.result] = self.wide.in_blocks(streams.product.result)
        self.others = {
            m: Product(low, stream, weight_place(low, stream), self.rows, TILE_TURNS)
            for m, stream in streams.of.items()
            if m is not streams.product
        }

    def run(self) -> None:
        b, shape = self.b, self.shape
        for product in (self.wide, *self.others.values()):
            product.load_all_numbers()
        tail = self.late.tail_view(0, shape.tail)
        self.late.quantize(self.wide.slot_view(0, 0, shape.tail), tail, shape.tail)
        with b.keeping_buffers():
            part_bytes = to_granules(self.low.most_rows * shape.part * 4)
            self.parts = Turns(b.alloc("late_rows", TILE_TURNS * part_bytes), part_bytes)
            self.tile(TileTurn(shape.tail_start, shape.tail, 0, 0))
            end = (shape.tiles - 1) * shape.tile
            b.loop(0, end, shape.tile, self.middle, [1])
            self.tile(TileTurn(end, shape.tile, shape.tiles % 2, None))

    def middle(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        self.tile(TileTurn(first, self.shape.tile, carried[0], self.b.add(first, self.shape.tile)))
        return [self.b.sub(1, carried[0])]

    def tile(self, tile: TileTurn) -> None:
        """All strips of a tile."""
        if tile.is_last:
            self.b.loop(0, self.columns + self.rows, self.rows, lambda c, turns: self.finishing(tile, c, turns[0]), [0])
        else:
            self.b.loop(0, self.columns, self.rows, lambda column, turns: self.adding(tile, column, turns[0]), [0])

    def strip(self, column: Index, turn: Index) -> Strip:
        return Strip(self.rows, column, self.rows, turn)

    def numbered(self, strip: Strip) -> Strip:
        """A strip whose turn is its number, as the sums want it."""
        return self.strip(strip.first, self.b.div(strip.first, self.rows))

    def adding(self, tile: TileTurn, column: SSAValue, turn: SSAValue) -> list[Index]:
        self.multiply(tile, column, turn)
        self.prepare(tile, column, turn)
        return [self.b.sub(1, turn)]

    def multiply(self, tile: TileTurn, column: Index, turn: Index) -> None:
        """Adds a tile's products to the sums of a strip."""
        b, is_first = self.b, tile.first == self.shape.tail_start
        strip = self.numbered(self.strip(column, turn))

        def load() -> None:
            self.streams.load(self.wide.base, tile.first, strip, turn)

        if is_first and self.streams.is_ahead:
            b.when(b.compare("sge", column, TILE_TURNS * self.rows), load)
        else:
            load()
        stride = self.wide.stream.tile_stride(tile.count)
        weights = Tile(self.streams.place(turn), 0, tile.slot, tile.count, tile.count, stride)
        self.wide.product(self.wide.products(strip), weights, strip, int(not is_first))

    def prepare(self, tile: TileTurn, column: Index, turn: Index) -> None:
        """Quantises a part of the next tile."""
        b, shape, following = self.b, self.shape, tile.following
        assert following is not None
        start = b.mul(b.div(column, self.rows), shape.part)

        def part() -> None:
            count = shape.part if shape.tile % shape.part == 0 else b.least(b.sub(shape.tile, start), shape.part)
            source = self.late.load(self.parts.place(b, turn), b.add(following, start), count)
            self.late.quantize(self.wide.slot_view(b.sub(1, tile.slot), start, count), source, count)

        b.when(b.compare("slt", start, shape.tile), part)

    def finishing(self, tile: TileTurn, column: SSAValue, turn: SSAValue) -> list[Index]:
        """The last products of a strip, and what is done to those of the one before."""
        b, other = self.b, self.b.sub(1, turn)

        def multiply() -> None:
            self.multiply(tile, column, turn)
            for product in self.others.values():
                strip = self.strip(column, turn)
                product.load_numbers(strip)
                product.load(strip)
                product.multiply(strip, product.products(strip))

        behind = None if self.low.upcoming is None else self.low.look_ahead
        b.when(b.compare("slt", column, self.columns), multiply, behind)
        b.when(b.compare("ne", column, 0), lambda: self.finish(self.strip(b.sub(column, self.rows), other)))
        return [other]

    def finish(self, strip: Strip) -> None:
        self.wide.load_numbers(self.numbered(strip))
        StripMembers(self.low, self.results, strip, self.finished).run(self.members)

    def finished(self, op: slmq.MatmulOp, strip: Strip) -> SSAValue:
        final = self.results.view(op.result, strip)
        if op is not self.streams.product:
            return self.others[op].finish(strip, final)
        return self.wide.finish(self.numbered(strip), final)
