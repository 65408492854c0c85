"""A region of rows beside a group of products that it needs nothing of: norms of queries and keys while the values are multiplied.

In front of attention the matrix unit has nothing to do until all rows are there. If the group in front of the region makes none of them,
each turn of its loop over strips works on some rows as well, before it finishes a strip: the vector instructions of the rows run while
the unit has the products of the strip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from compiler.dialects import slmq
from compiler.lowering.ahead import located
from compiler.lowering.builder import Index
from compiler.lowering.kinds import layer_bodies
from compiler.lowering.plan import EARLY_BESIDE, ROW_TILES, TilePlan
from compiler.lowering.row_regions import LowerOp, RowTiles, widest_bytes
from compiler.lowering.strip_shapes import strip_shapes, wide_product
from compiler.lowering.values import Lowering
from compiler.sizes import ceil_div


def region_beside(plan: TilePlan, op: Operation, following: Sequence[Operation]) -> slmq.RowsOp | None:
    """The region in front of an attention that can be worked on beside a group of products right before it, if there is one."""
    if not plan.early & EARLY_BESIDE or plan.buffers != 2 or len(following) < 2:
        return None
    region, attention = following[0], following[1]
    if not isinstance(op, slmq.StripsOp) or not isinstance(region, slmq.RowsOp):
        return None
    if not isinstance(attention, slmq.AttentionOp) or wide_product(plan, op) is not None:
        return None
    if not set(op.outs).isdisjoint(region.operands_read) or rows_at_once(plan, op, region) == 0:
        return None
    return region


def has_rows_beside(module: ModuleOp, plan: TilePlan) -> bool:
    """Whether there is such a region under a plan that asks for it."""
    asking = replace(plan, early=plan.early | EARLY_BESIDE)
    ops = [list(body.ops) for body in layer_bodies(module)]
    return any(region_beside(asking, op, some[i + 1 : i + 3]) is not None for some in ops for i, op in enumerate(some))


def rows_at_once(plan: TilePlan, op: slmq.StripsOp, region: slmq.RowsOp) -> int:
    """The fewest rows for a turn, of those that a region may take, such that the strips are enough for all of them; 0: there are none."""
    strips = ceil_div(op.columns.value.data, next(iter(strip_shapes(plan, op).values())).rows)
    most = plan.row_tile(widest_bytes(region)) if strips > 1 else 0
    return min((rows for rows in ROW_TILES if rows <= most and rows * strips >= plan.chunk), default=0)


class RowsBeside:
    """One region, some rows in each turn of a loop over strips."""

    def __init__(self, low: Lowering, group: slmq.StripsOp, region: slmq.RowsOp, lower_op: LowerOp):
        self.low, self.b, self.region = low, low.builder, region
        with located(low, region):
            self.rows = RowTiles(low, region, lower_op, None, rows_at_once(low.plan, group, region))
            self.rows.start()

    def hold(self) -> None:
        """Makes the buffers, in front of the loop."""
        with located(self.low, self.region):
            self.rows.hold()

    def turn(self, number: Index) -> None:
        """What a turn of the loop does: the rows of one are loaded, those of the one before worked on."""
        b, rows = self.b, self.rows
        first = b.value(b.mul(number, rows.most))
        with located(self.low, self.region):
            is_some = b.compare("slt", first, b.add(self.low.rows, rows.most))
            b.when(is_some, lambda: rows.turn(first, b.value(b.rem(number, 2))))
