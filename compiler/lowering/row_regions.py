"""Regions that work row by row, on a few rows at a time where values lie in DRAM.

With values in DRAM a turn of the loop loads some rows and works on those that the turn before has loaded: the vector instructions of a
turn are more than a queue takes, and a load behind them would not be issued before they are nearly done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Protocol

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq
from compiler.dialects.slm import row_shape
from compiler.lowering.attention import appended
from compiler.lowering.attention_blocks import append_rows
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.norms import load_vectors, reads_blocks
from compiler.lowering.plan import ROW_TILES, TilePlan
from compiler.lowering.spilling import fill_rows, new_spilled, rows_in_blocks, staging, store_rows
from compiler.lowering.values import Lowering, Tensor, dies_at, rows_of
from compiler.sizes import to_granules

LOADED, MADE = "loaded_rows", "made_rows"
EARLY_ROWS = 32
"""Rows at a time for the matrix unit: with fewer it waits for its weights, one array of which takes as long as 32 rows."""
LowerOp = Callable[[Lowering, Operation], None]


class Early(Protocol):
    """What works on rows of a region's results as soon as they are there: compiler/lowering/early_strips.py. `half`: 0 or 1, one half of
    that work; None: all of it."""

    def begin(self) -> None: ...

    def multiply(self, first: Index, rows: Index, most: int, half: int | None = None) -> None: ...


def widest_bytes(op: slmq.RowsOp) -> int:
    """Of a row of a region's operands and results."""
    values = (*op.operands_read, *op.outs)
    return max((prod(row_shape(v)) * element_bytes(slmq.element_of(v.type)) for v in values), default=1)


def is_wide(plan: TilePlan, op: slmq.RowsOp) -> bool:
    """Whether a region works on fewer rows at once than others."""
    return plan.row_tile(widest_bytes(op)) < min(ROW_TILES[0], plan.chunk)


def yielded(op: slmq.RowsOp) -> Sequence[SSAValue]:
    end = op.body.block.last_op
    return end.operands if end is not None else []


def lower_members(low: Lowering, op: slmq.RowsOp, lower_op: LowerOp) -> None:
    for member in op.body.block.ops:
        if not isinstance(member, slmq.YieldOp):
            lower_op(low, member)


class RowTiles:
    """One region in a loop over rows."""

    def __init__(self, low: Lowering, op: slmq.RowsOp, lower_op: LowerOp, early: Early | None, most: int = 0):
        self.low, self.b, self.op, self.lower_op, self.early = low, low.builder, op, lower_op, early
        self.most = most or low.plan.row_tile(widest_bytes(op))
        self.sources = [low.values[value] for value in op.operands_read]
        self.caches = {out: cache for out in op.outs if (cache := appended(low, out)) is not None}
        self.outs = self.outputs()
        self.vectors = load_vectors(low, op)
        self.pairs: dict[tuple[Tensor, str], SSAValue] = {}
        pairs = zip(op.body.block.args, self.sources, strict=True)
        self.direct = [s for arg, s in pairs if s.block and s.place.space == "sram" and reads_blocks(arg)]
        """Sums that are read where they are."""
        self.behind = low.next_rows if low.next_rows is not None and low.next_rows.is_last(op) else None
        self.turns = 2

    def run(self) -> None:
        b, low = self.b, self.low
        self.start()
        if self.early is not None:
            self.early.begin()
        if self.behind is not None:
            self.behind.prepare(self.most)
        if low.plan.buffers == 2 and any(source.block for source in self.sources):
            with b.keeping_buffers():
                self.hold()
                self.loop()
        else:
            b.loop(0, low.rows, self.most, self.one_by_one)

    def loop(self) -> None:
        """With some rows loaded while those before them are worked on."""
        self.b.loop(0, self.b.add(self.low.rows, self.most), self.most, self.overlapped, [0])

    def start(self) -> None:
        """From here on the results have their places."""
        self.low.values.update(zip(self.op.outs, self.outs, strict=True))
        self.low.appended.update(self.caches)

    def hold(self) -> None:
        """Makes the buffers for rows of values in DRAM, in turns."""
        for label, tensors in ((LOADED, self.sources), (MADE, self.outs)):
            moved = [tensor for tensor in tensors if tensor.block and tensor not in self.direct]
            self.pairs |= {
                (tensor, label): self.b.alloc(label, self.turns * self.size_bytes(tensor)) for tensor in moved
            }

    def one_by_one(self, first: SSAValue, _: list[SSAValue]) -> list[Index]:
        loaded = self.some(self.sources, LOADED, first, None)
        self.load(first, loaded)
        self.work(first, loaded, None)
        self.multiply_early(first)
        return []

    def overlapped(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        self.turn(first, carried[0])
        return [self.b.sub(1, carried[0])]

    def turn(self, first: SSAValue, turn: SSAValue) -> None:
        """Loads the rows from `first` on and works on those before them."""
        b = self.b
        self.load_some(first, turn)
        other = b.sub(1, turn)
        b.when(b.compare("ne", first, 0), lambda: self.work_some(b.sub(first, self.most), other))

    def load_some(self, first: SSAValue, turn: SSAValue) -> None:
        """The rows from `first` on, if there are any."""
        b = self.b
        b.when(
            b.compare("slt", first, self.low.rows),
            lambda: self.load(first, self.some(self.sources, LOADED, first, turn)),
        )

    def work_some(self, first: Index, turn: Index) -> None:
        """What is done to the rows from `first` on."""
        self.work(first, self.some(self.sources, LOADED, first, turn), turn)
        self.multiply_early(first)

    def multiply_early(self, first: Index) -> None:
        """Behind the rows from `first` on: where they fill a part of EARLY_ROWS, and behind the last ones, that part is multiplied."""
        if self.early is None:
            return
        b, early, rows, most = self.b, self.early, self.low.rows, max(self.most, EARLY_ROWS)
        end = b.least(b.add(first, self.most), rows)
        start = b.sub(first, b.rem(first, most))
        is_full = b.compare("eq", b.mul(b.rem(end, most), b.sub(rows, end)), 0)
        b.when(is_full, lambda: early.multiply(start, b.sub(end, start), most))

    def size_bytes(self, tensor: Tensor) -> int:
        """Of the rows of a turn in SRAM."""
        return to_granules(self.most * tensor.row_bytes)

    def some(self, tensors: Sequence[Tensor], label: str, first: Index, turn: Index | None) -> list[Tensor]:
        """The rows from `first` on in SRAM, of values in DRAM in a buffer: one of a pair, or of a stream."""
        b, low = self.b, self.low
        count = b.least(b.sub(low.rows, first), self.most)

        def rows(tensor: Tensor) -> Tensor:
            if not tensor.block:
                return rows_of(low, tensor, first, count)
            if tensor in self.direct:
                return rows_in_blocks(low, tensor, first, count)
            if turn is None:
                return staging(low, tensor, count, self.most, label)
            place = Place("sram", self.pairs[tensor, label], b.mul(turn, self.size_bytes(tensor)))
            return replace(tensor, place=place, rows=count, block=0)

        return [rows(tensor) for tensor in tensors]

    def load(self, first: Index, loaded: Sequence[Tensor]) -> None:
        for tensor, rows in zip(self.sources, loaded, strict=True):
            if tensor.block and tensor not in self.direct:
                fill_rows(self.low, tensor, first, rows)

    def outputs(self) -> list[Tensor]:
        """Where the results go: to the cache of attention, over an operand in DRAM that dies here, or to a new place."""
        low, op = self.low, self.op
        free = [v for v in op.operands_read if v in low.spilled and dies_at(v, op)]
        free = [v for v in free if low.values[v].place.space == "scratch"]
        tensors: list[Tensor] = []
        for out, value in zip(op.outs, yielded(op), strict=True):
            if out not in low.spilled:
                tensors.append(low.result(out, "rows"))
                continue
            if out in self.caches:
                tensors.append(self.cached(out))
                continue
            fitting = [v for v in free if v.type == out.type and low.spilled[v] == low.spilled[out]]
            reused = next((v for v in fitting if self.reads(value, v)), fitting[0] if fitting else None)
            if reused is not None:
                free.remove(reused)
            tensors.append(new_spilled(low, out) if reused is None else low.values[reused])
        return tensors

    def cached(self, out: SSAValue) -> Tensor:
        """Rows of keys or values by name: they are put into the cache head by head."""
        block = self.low.spilled[out]
        return Tensor(Place("kv"), slmq.element_of(out.type), row_shape(out), self.low.rows, block=block)

    def reads(self, result: SSAValue, operand: SSAValue) -> bool:
        """Whether the op that makes a result reads an operand of the region itself: what is added to the carried rows of a stack of
        layers goes to their place then, and need not be copied there."""
        owner = result.owner
        argument = self.op.body.block.args[self.op.operands_read.index(operand)]
        return isinstance(owner, Operation) and argument in owner.operands

    def work(self, first: Index, loaded: Sequence[Tensor], turn: Index | None) -> None:
        """The ops on the rows from `first` on."""
        b, low, inner = self.b, self.low, self.prepared(first, loaded, turn)
        results = yielded(self.op)
        lower_members(inner, self.op, self.lower_op)
        for value, result, out in zip(results, self.op.outs, self.outs, strict=True):
            if result in self.caches:
                append_rows(b, self.caches[result], first, inner.values[value])
            elif out.block:
                store_rows(low, out, first, inner.values[value])
        if self.behind is not None:
            self.behind.work(first, [inner.values[value] for value in results], self.op)

    def prepared(self, first: Index, loaded: Sequence[Tensor], turn: Index | None) -> Lowering:
        """For the ops on the rows from `first` on, their results wanted where they are stored from."""
        inner = self.part(first, loaded)
        inner.targets = dict(zip(yielded(self.op), self.some(self.outs, MADE, first, turn), strict=True))
        return inner

    def part(self, first: Index, loaded: Sequence[Tensor]) -> Lowering:
        """For the rows from `first` on, as the region's arguments."""
        b, low, arguments = self.b, self.low, self.op.body.block.args
        inner = low.some_rows(first, b.least(b.sub(low.rows, first), self.most), self.most)
        inner.vectors = self.vectors
        inner.values |= dict(zip(arguments, loaded, strict=True))
        inner.copies = {arg for arg, source in zip(arguments, self.sources, strict=True) if source.block}
        return inner
