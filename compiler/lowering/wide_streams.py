"""The weights of a group of products one of which quantises its input as it goes: compiler/lowering/wide_products.py."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.dialects import slmq
from compiler.lowering.builder import Index, Place
from compiler.lowering.row_strips import MOST_TURNS, weight_place
from compiler.lowering.strip_buffers import TILE_TURNS, Room, Strip, Turns
from compiler.lowering.strip_shapes import late_input, strip_shapes, wide_product
from compiler.lowering.values import Lowering
from compiler.lowering.weight_stream import WeightStream
from compiler.sizes import to_granules


class WideStreams:
    """The weights of a group with such a product. Those of its other products come strip by strip with the last tile."""

    def __init__(self, low: Lowering, op: slmq.StripsOp):
        self.low, self.op = low, op
        product = wide_product(low.plan, op)
        source = None if product is None else late_input(product)
        assert product is not None and source is not None
        self.product, self.late = product, source
        self.of = {
            m: WeightStream(low.builder, m, shape, TILE_TURNS) for m, shape in strip_shapes(low.plan, op).items()
        }
        self.stream = self.of[product]
        self.rows, self.columns = self.stream.shape.rows, op.columns.value.data
        self.weights: Turns | None = None
        self.is_ahead = False

    @property
    def room(self) -> Room:
        """For a tile of the weights of a strip."""
        return Room("weights", to_granules(self.stream.tile_bytes), TILE_TURNS)

    def rooms(self) -> list[Room]:
        """What `go_ahead` is given."""
        return [self.room]

    def go_ahead(self, given: Sequence[Turns]) -> None:
        """The first loads will be on their way before the loops begin."""
        self.is_ahead = True
        self.weights = given[0]

    def hold(self) -> None:
        """A buffer for what comes when the loops ask for it."""
        if self.weights is None:
            self.weights = self.room.at(self.low.builder.alloc(self.room.label, self.room.size_bytes))

    def load_ahead(self, first: int = 0, end: int = MOST_TURNS) -> None:
        """The first strips, of the columns that are in SRAM: one for each turn."""
        base, start = weight_place(self.low, self.stream), self.columns_in_front
        for number in range(TILE_TURNS)[first:end]:
            self.load(base, start, Strip(self.rows, number * self.rows, self.rows, number), number)

    @property
    def columns_in_front(self) -> int:
        """Of the input, those that are not in SRAM."""
        tile = self.stream.shape.k_tile
        return (self.product.columns - 1) // tile * tile

    def load(self, base: Index, first: Index, strip: Strip, turn: Index) -> None:
        """The weights of a strip for the tile from a column on."""
        assert self.weights is not None
        self.stream.load_tile(self.weights.place(self.low.builder, turn), base, first, strip)

    def place(self, turn: Index) -> Place:
        assert self.weights is not None
        return self.weights.place(self.low.builder, turn)
