"""The first strips of a group of products, multiplied before its loop over strips begins, which finds them done.

- While their input is made: all strips read all rows of it, so the matrix unit would have nothing to do while norms and quantisation make
  them. The first strips are loaded before that (ahead.py), and multiplied with some rows as soon as these are there: the region of rows in
  front of the group issues the products.
- While the last strip of the group in front is finished (EARLY_GROUPS), if that makes nothing of the input: queries, keys and values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeGuard

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from compiler.dialects import slmq
from compiler.lowering.ahead import Ahead, located
from compiler.lowering.builder import Index
from compiler.lowering.kinds import layer_bodies
from compiler.lowering.matmul import Product, steps_of
from compiler.lowering.plan import EARLY_GROUPS
from compiler.lowering.strip_buffers import TILE_TURNS
from compiler.lowering.strip_streams import StripStreams, streams_of
from compiler.lowering.values import Lowering
from compiler.sizes import ceil_div


class EarlyStrips:
    """Of one group of products. `count` strips come early."""

    def __init__(self, low: Lowering, op: slmq.StripsOp, streams: StripStreams):
        self.low, self.b, self.op, self.streams = low, low.builder, op, streams
        self.count = min(stream.strips_ahead() for stream in streams.of.values())
        self.products: dict[slmq.MatmulOp, Product] = {}

    @staticmethod
    def of(low: Lowering, region: slmq.RowsOp, following: Sequence[Operation]) -> EarlyStrips | None:
        """None if what follows the region is no group of products of its results alone whose first strips are on their way."""
        op = following[0] if following else None
        streams = low.streams.get(op) if isinstance(op, slmq.StripsOp) else None
        if not isinstance(op, slmq.StripsOp) or not can_come_early(streams, low):
            return None
        return EarlyStrips(low, op, streams) if all(m.x in region.outs for m in streams.of) else None

    @staticmethod
    def behind(low: Lowering, op: slmq.StripsOp, ahead: Ahead) -> EarlyStrips | None:
        """Of the group that `ahead` loads behind another one, `op`; None if that is wanted for another reason."""
        if not low.plan.early & EARLY_GROUPS or ahead.group is None or not follows(ahead.group[0], op):
            return None
        following, streams = ahead.group
        if not can_come_early(streams, low):
            return None
        before = low.streams.setdefault(op, streams_of(low, op))
        if isinstance(before, StripStreams) and streams.can_take_turns_with(before):
            streams.take_turns_with(before)
        return EarlyStrips(low, following, streams)

    def begin(self) -> None:
        """Makes the buffers, in front of the loop in which they are filled; the input has its place."""
        self.products = self.streams.products()
        self.low.early[self.op] = self

    def multiply(self, first: Index, rows: Index, most: int, half: int | None = None) -> None:
        """The early strips of some rows of the input, at most `most`; `half`: of the strips, the first ones or the others."""
        part, middle = self.low.some_rows(first, rows, most), ceil_div(self.count, 2)
        begin, end = middle if half == 1 else 0, middle if half == 0 else self.count
        self.multiply_strips(range(begin, end), lambda product: product.of_rows(part, first))

    def multiply_all(self) -> None:
        """The early strips of all rows."""
        self.multiply_strips(range(self.count), lambda product: product)

    def multiply_strips(self, numbers: Iterable[int], of: Callable[[Product], Product]) -> None:
        with located(self.low, self.op):
            for number in numbers:
                for product in self.products.values():
                    of(product).multiply_ahead(self.streams.strip(number))


def can_come_early(streams: object, low: Lowering) -> TypeGuard[StripStreams]:
    """Whether the first strips can be multiplied in front of the loop over all of them: their input is in SRAM, and they come whole."""
    if not isinstance(streams, StripStreams) or (streams.turns != 2 and streams.strips > 1):
        return False
    if any(m.x in low.spilled or steps_of(m) == 0 for m in streams.of):
        return False
    return all(stream.tiles_of_strip <= TILE_TURNS for stream in streams.of.values())


def follows(other: Operation | None, op: slmq.StripsOp) -> TypeGuard[slmq.StripsOp]:
    """Whether another group is right behind a group of products, and reads nothing of it."""
    if not isinstance(other, slmq.StripsOp) or op.next_op is not other:
        return False
    return set(op.outs).isdisjoint(operand for member in other.body.block.ops for operand in member.operands)


def has_groups_in_a_row(module: ModuleOp) -> bool:
    """Whether there are such groups in a layer."""
    ops = [op for body in layer_bodies(module) for op in body.ops]
    return any(isinstance(op, slmq.StripsOp) and follows(op.next_op, op) for op in ops)
