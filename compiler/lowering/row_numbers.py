"""Numbers of the rows of a weight in SRAM: what the products are multiplied by, and what is added to them."""

from __future__ import annotations

from compiler.emit.weight_layout import WORD_BYTES, WeightLayout
from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.strip_buffers import Strip, Turns
from compiler.sizes import to_granules


class RowNumbers:
    """Scales of the rows and biases of a weight in SRAM, of `most` columns of the result at once (all: they stay), for each turn."""

    def __init__(self, b: TileBuilder, layout: WeightLayout, most: int, turns: int):
        self.b, self.layout = b, layout
        self.is_all = most >= layout.rows
        self.array_bytes = min(layout.row_array_bytes, to_granules(most * WORD_BYTES))
        size_bytes = layout.row_arrays * self.array_bytes
        turns = 1 if self.is_all else turns
        self.turns = Turns(b.alloc("row_numbers", turns * size_bytes), size_bytes) if size_bytes else None

    def load(self, base: Index, first: Index, count: Index, turn: Index) -> None:
        """Those of some columns."""
        if self.turns is None:
            return
        b, arrays = self.b, self.layout.row_arrays
        size_bytes = b.mul(count, WORD_BYTES)
        source = Place("weight", offset=b.add(base, b.mul(first, WORD_BYTES)))
        b.load(
            b.view(self.turns.place(b, turn), "u8", [size_bytes, arrays], [1, self.array_bytes]),
            b.view(source, "u8", [size_bytes, arrays], [1, self.layout.row_array_bytes]),
        )

    def place(self, array: int, strip: Strip) -> Place:
        """Where those of a strip's columns begin in one of the arrays."""
        assert self.turns is not None
        place = self.turns.place(self.b, 0 if self.is_all else strip.turn)
        inside = self.b.mul(strip.first, WORD_BYTES) if self.is_all else 0
        return Place("sram", place.buffer, self.b.add(place.offset, self.b.add(inside, array * self.array_bytes)))
