"""The first strips of a group of products, multiplied while their input is made.

All strips read all rows of their input, so the matrix unit would have nothing to do while norms and quantisation make them. Instead the
first strips are loaded before that (ahead.py), and multiplied with some rows as soon as these are there: the region of rows in front of
the group issues the products. The loop over strips finds them done.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq
from compiler.lowering.ahead import located
from compiler.lowering.builder import Index
from compiler.lowering.matmul import Product, steps_of
from compiler.lowering.strip_streams import StripStreams
from compiler.lowering.values import Lowering
from compiler.lowering.weight_stream import TILE_TURNS


class EarlyStrips:
    """Of one group of products behind a region of rows. `count` strips come early."""

    def __init__(self, low: Lowering, op: slmq.StripsOp, streams: StripStreams):
        self.low, self.b, self.op, self.streams = low, low.builder, op, streams
        self.count = min(stream.strips_ahead() for stream in streams.of.values())
        self.products: dict[slmq.MatmulOp, Product] = {}

    @staticmethod
    def of(low: Lowering, region: slmq.RowsOp, following: Sequence[Operation]) -> EarlyStrips | None:
        """None if what follows the region is no group of products of its results alone whose first strips are on their way."""
        op = following[0] if following else None
        streams = low.streams.get(op) if isinstance(op, slmq.StripsOp) else None
        if not isinstance(op, slmq.StripsOp) or not isinstance(streams, StripStreams):
            return None
        inputs: list[SSAValue] = [m.x for m in streams.of]
        if streams.turns != 2 or any(x not in region.outs or x in low.spilled for x in inputs):
            return None
        if any(steps_of(m) == 0 for m in streams.of) or any(s.tiles_of_strip > TILE_TURNS for s in streams.of.values()):
            return None
        return EarlyStrips(low, op, streams)

    def begin(self) -> None:
        """Makes the buffers, in front of the loop over rows; the results of the region have their places."""
        self.products = self.streams.products()
        self.low.early[self.op] = self

    def multiply(self, first: Index, rows: Index, most: int) -> None:
        """The early strips of some rows of the input, at most `most`."""
        part = self.low.some_rows(first, rows, most)
        with located(self.low, self.op):
            for number in range(self.count):
                for product in self.products.values():
                    product.of_rows(part, first).multiply_ahead(self.streams.strip(number))
