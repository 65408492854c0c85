"""Regions of rows that begin with a layer norm, in two stages: the matrix unit sums the squares of some rows while the vector unit
finishes those before them.

A layer norm takes the vector unit two passes to the centred rows, two for their squares and the sum of these, two to the end. A row times
itself is that sum, by the same rule (docs/numerics.md, section 2), and the matrix unit has little to do in a region of rows. But the rows
would wait for it. So a turn of the loop loads some rows, centres those of the turn before, and finishes those of the one before that:

    vector unit:  centre n | finish n - 1      | centre n + 1 | finish n          |
    matrix unit:           | squares of n                     | squares of n + 1

An RMS norm has nothing to do before its squares, and too little behind them to hide their products.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm import row_shape
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.norms import centre_rows
from compiler.lowering.row_regions import (
    EARLY_ROWS,
    LOADED,
    Early,
    LowerOp,
    RowTiles,
    lower_members,
    widest_bytes,
    yielded,
)
from compiler.lowering.values import Lowering, Tensor, rows_of
from compiler.sizes import to_granules

STAGES = 3
"""Turns in which some rows are in SRAM: loaded, centred, finished."""
MOST_ROWS = 8
"""At once: with more it takes three longer turns until the first rows are finished."""


def lower_rows(low: Lowering, op: slmq.RowsOp, lower_op: LowerOp, early: Early | None = None) -> None:
    """A region, as its values and the plan allow: at once where all are in SRAM, else some rows at a time, or those in stages."""
    body = op.body.block
    if low.plan.spills:
        norm = norm_in_front(low, op)
        tiles = RowTiles(low, op, lower_op, early) if norm is None else StagedRows(low, op, lower_op, early, norm)
        tiles.run()
        return
    for argument, value in zip(body.args, op.operands_read, strict=True):
        low.values[argument] = low.values[value]
    lower_members(low, op, lower_op)
    for out, value in zip(op.outs, yielded(op), strict=True):
        low.values[out] = low.values[value]


def norm_in_front(low: Lowering, op: slmq.RowsOp) -> slmq.LayerNormOp | None:
    """The layer norm that a region begins with, if it is of all columns, and of the only rows that are brought here: they are centred
    where they are."""
    norm = op.body.block.first_op
    brought = [value for value in op.operands_read if value in low.spilled]
    if low.plan.buffers != 2 or len(brought) != 1 or not isinstance(norm, slmq.LayerNormOp) or norm.owners:
        return None
    argument = op.body.block.args[op.operands_read.index(brought[0])]
    is_own = norm.x is argument and len(list(argument.uses)) == 1
    return norm if is_own and norm.axes.value.data == len(row_shape(argument)) else None


class StagedRows(RowTiles):
    """See the module docstring."""

    def __init__(self, low: Lowering, op: slmq.RowsOp, lower_op: LowerOp, early: Early | None, norm: slmq.LayerNormOp):
        super().__init__(low, op, lower_op, early, min(low.plan.row_tile(widest_bytes(op)), MOST_ROWS))
        self.norm, self.turns = norm, STAGES
        self.brought = op.operands_read[op.body.block.args.index(norm.x)]
        self.sum_bytes = to_granules(self.most * element_bytes("f32"))
        self.sums: SSAValue | None = None

    def loop(self) -> None:
        self.sums = self.b.alloc("squares", STAGES * self.sum_bytes)
        end = self.b.add(self.low.rows, (STAGES - 1) * self.most)
        self.b.loop(0, end, self.most, self.staged, [0])

    def staged(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        """One stage of each of three tiles of rows."""
        b, rows, turn = self.b, self.low.rows, carried[0]
        following, before = (b.value(b.rem(b.add(turn, step), STAGES)) for step in (1, STAGES - 1))
        self.load_some(first, turn)
        middle = b.value(b.sub(first, self.most))

        def centre() -> None:
            b.when(b.compare("slt", middle, rows), lambda: self.centre(middle, before))

        b.when(b.compare("sge", middle, 0), centre)
        last = b.value(b.sub(middle, self.most))
        b.when(b.compare("sge", last, 0), lambda: self.work_some(last, following))
        return [following]

    def squares(self, count: Index, turn: Index) -> Tensor:
        """The sums of some rows."""
        assert self.sums is not None
        place = Place("sram", self.sums, self.b.mul(turn, self.sum_bytes))
        return Tensor(place, "f32", (1,), count)

    def centre(self, first: Index, turn: Index) -> None:
        inner = self.part(first, self.some(self.sources, LOADED, first, turn))
        means = self.low.means.get(self.brought)
        mean = None if means is None else rows_of(self.low, means, first, inner.rows)
        centre_rows(inner, self.norm, self.squares(inner.rows, turn), mean)

    def prepared(self, first: Index, loaded: Sequence[Tensor], turn: Index | None) -> Lowering:
        """Rows that are centred take the norm's result, too, unless it is wanted elsewhere."""
        inner = super().prepared(first, loaded, turn)
        assert turn is not None
        inner.squares[self.norm] = self.squares(inner.rows, turn)
        inner.targets = {self.norm.result: inner.values[self.norm.x], **inner.targets}
        return inner

    def multiply_early(self, first: Index) -> None:
        """One half of the strips as soon as a part of the rows is full, the other one when half of the next part is: squares wait for one
        half only."""
        if self.early is None:
            return
        b, early, rows, half = self.b, self.early, self.low.rows, EARLY_ROWS // 2
        end = b.value(b.least(b.add(first, self.most), rows))
        start = b.value(b.sub(first, b.rem(first, EARLY_ROWS)))
        count = b.value(b.sub(end, start))

        def others() -> None:
            early.multiply(b.sub(start, EARLY_ROWS), EARLY_ROWS, EARLY_ROWS, 1)

        b.when(b.compare("sgt", start, 0), lambda: b.when(b.compare("eq", count, half), others))
        b.when(b.compare("eq", count, EARLY_ROWS), lambda: early.multiply(start, EARLY_ROWS, EARLY_ROWS, 0))

        def last() -> None:
            b.when(b.compare("sgt", start, 0), lambda: b.when(b.compare("slt", count, half), others))
            b.when(b.compare("ne", count, EARLY_ROWS), lambda: early.multiply(start, count, EARLY_ROWS, 0))
            early.multiply(start, count, EARLY_ROWS, 1)

        b.when(b.compare("eq", end, rows), last)
