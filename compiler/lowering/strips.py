"""Fusion groups: a loop over strips of output columns. Each turn streams a strip's weights in and finishes the columns of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from xdsl.ir import Operation, SSAValue

from compiler.dialects import slmq
from compiler.lowering.attention import appended
from compiler.lowering.builder import Index, Place
from compiler.lowering.late_rows import LateRows
from compiler.lowering.matmul import Product, steps_of
from compiler.lowering.norms import load_vectors
from compiler.lowering.row_strips import RowLoop, RowStreams
from compiler.lowering.sampling import finish_sampling, start_sampling
from compiler.lowering.spilling import new_spilled
from compiler.lowering.strip_buffers import Strip
from compiler.lowering.strip_means import StripMeans, has_mean
from compiler.lowering.strip_members import Results, StripMembers, columns_in_dram, load_columns, place_for_columns
from compiler.lowering.strip_shapes import late_reader, strip_shapes
from compiler.lowering.strip_streams import StripStreams, streams_of
from compiler.lowering.values import Lowering, Tensor, dies_at
from compiler.lowering.wide_products import WideLoop, stays_in_sums
from compiler.lowering.wide_streams import WideStreams

if TYPE_CHECKING:
    from compiler.lowering.early_strips import EarlyStrips
    from compiler.lowering.rows_beside import RowsBeside


def lower_strips(low: Lowering, op: slmq.StripsOp) -> None:
    """See the module docstring."""
    members = [member for member in op.body.block.ops if not isinstance(member, slmq.YieldOp)]
    end = op.body.block.last_op
    yielded = list(end.operands) if end is not None else []
    results = Results(low, {}, vectors=load_vectors(low, op))
    for value, out in zip(yielded, op.outs, strict=True):
        if not isinstance(value.owner, slmq.SampleOp) and not stays_in_sums(low, value, out):
            results.places[value] = place = appended(low, out) or output_tensor(low, value, out, results)
            reader = late_reader(low.plan, out)
            if reader is not None and isinstance(place, Tensor):
                results.late[value] = low.late[out] = LateRows(low, place, reader)
            if has_mean(low, op, out):
                results.means[value] = StripMeans(low, out, next(iter(strip_shapes(low.plan, op).values())).rows)
    for member in members:
        if isinstance(member, slmq.SampleOp):
            start_sampling(low)
    streams = low.streams.pop(op, None) or streams_of(low, op)
    if isinstance(streams, RowStreams):
        RowLoop(low, streams, members, results).run()
    elif isinstance(streams, WideStreams):
        WideLoop(low, streams, members, results).run()
    else:
        StripLoop(low, streams, members, results, low.early.pop(op, None), low.beside.pop(op, None)).run()
    for member in members:
        if isinstance(member, slmq.SampleOp):
            finish_sampling(low)
    for value, out in zip(yielded, op.outs, strict=True):
        if value in results.means:
            results.means[value].end()
            low.means[out] = results.means[value].means
        place = results.places.get(value)
        if isinstance(place, Tensor):
            low.values[out] = place
        elif place is not None:
            low.appended.add(out)


class StripLoop:
    """The loop of a group: each turn multiplies one strip of each product and finishes the one before.

    An engine takes few instructions ahead of time. If a strip's vector instructions came before the next strip's load, the load
    would not be issued before the product is done, and DRAM would wait for it. What comes behind the loop is loaded before the last
    strip is finished, for the same reason.
    """

    def __init__(
        self,
        low: Lowering,
        streams: StripStreams,
        members: list[Operation],
        results: Results,
        early: EarlyStrips | None,
        beside: RowsBeside | None,
    ):
        self.low, self.b, self.members, self.results, self.streams = low, low.builder, members, results, streams
        self.columns, self.rows, self.turns = streams.columns, streams.rows, streams.turns
        self.done = early.count * self.rows if early is not None else 0
        self.products = early.products if early is not None else streams.products()
        self.end, self.beside = streams.strips * self.rows, beside
        self.loaded: dict[SSAValue, Place] = {}

    def run(self) -> None:
        for product in self.products.values():
            product.load_all_numbers()
        if self.streams.strips == 1:
            self.one_by_one(0)
        elif self.turns == 1:
            self.b.loop(0, self.columns, self.rows, lambda first, _: self.one_by_one(first))
        else:
            with self.b.keeping_buffers():
                if self.beside is not None:
                    self.beside.hold()
                for value in columns_in_dram(self.low, self.members):
                    self.loaded[value] = place_for_columns(self.low, self.rows)
                if not self.streams.is_ahead:
                    self.load_whole(self.strip(0, 0))
                self.b.loop(0, self.end + self.rows, self.rows, self.overlapped, [0])

    def strip(self, first: Index, turn: Index) -> Strip:
        b, even = self.b, self.columns % self.rows == 0
        return Strip(self.rows, first, self.rows if even else b.least(b.sub(self.columns, first), self.rows), turn)

    def one_by_one(self, first: Index) -> list[Index]:
        strip = self.strip(first, 0)
        self.load_numbers(strip)
        if not self.done:
            self.multiply(strip)
        if self.streams.strips == 1:
            self.low.look_ahead()
        self.finish(strip)
        return []

    def overlapped(self, first: SSAValue, carried: list[SSAValue]) -> list[Index]:
        b, turn = self.b, carried[0]
        is_strip = b.compare("slt", first, self.end)

        def multiply() -> None:
            strip = self.strip(first, turn)
            self.load_numbers(strip)
            if self.done:
                b.when(b.compare("sge", first, self.done), lambda: self.multiply(strip))
            else:
                self.multiply(strip)

        other = b.sub(1, turn)
        b.when(is_strip, multiply)
        if self.loaded:
            b.when(b.compare("ne", first, 0), lambda: self.load_columns(self.strip(b.sub(first, self.rows), other)))
        following = b.value(b.add(first, self.rows))
        if not self.loads_behind:
            self.load_next(following, other)
        if self.low.upcoming is not None:
            turn_of_loads = self.end + (self.rows if self.low.upcoming.waits else 0)
            b.when(b.compare("eq", following, turn_of_loads), self.low.look_ahead)
        if self.beside is not None:
            self.beside.turn(b.div(first, self.rows))
        b.when(b.compare("ne", first, 0), lambda: self.finish(self.strip(b.sub(first, self.rows), other)))
        if self.loads_behind:
            self.load_next(following, other)
        return [other]

    def multiply(self, strip: Strip) -> None:
        for product in self.products.values():
            final = self.final(product, strip)
            if self.turns == 1 or not product.stream.is_whole:
                self.load(product, strip)
            target = product.products(strip) if steps_of(product.op) or final is None else final
            product.multiply(strip, target, self.streams.is_ahead)

    def load_numbers(self, strip: Strip) -> None:
        for product in self.products.values():
            product.load_numbers(strip)

    def load(self, product: Product, strip: Strip) -> None:
        """See Product.load; the first strips may be there."""
        ahead = product.stream.strips_ahead() * self.rows
        if not self.streams.is_ahead:
            product.load(strip)
        elif ahead < self.end:
            self.b.when(self.b.compare("sge", strip.first, ahead), lambda: product.load(strip))

    def load_columns(self, strip: Strip) -> None:
        """What a strip is finished with: in front of the weights of a later one, for which its buffer must be free."""
        for value, place in self.loaded.items():
            load_columns(self.low, self.low.values[value], strip, place)

    def load_whole(self, strip: Strip) -> None:
        """Those products' strips that do not come in k-tiles."""
        for product in self.products.values():
            if product.stream.is_whole:
                product.load(strip)

    @property
    def ahead(self) -> int:
        """Columns of the strips that are loaded before the loop, where they come whole."""
        whole = [product.stream.strips_ahead() for product in self.products.values() if product.stream.is_whole]
        return min(whole, default=0) * self.rows if self.streams.is_ahead else 0

    @property
    def has_loads(self) -> bool:
        """Whether strips that come whole are loaded in the loop."""
        return self.ahead < self.end and any(product.stream.is_whole for product in self.products.values())

    @property
    def loads_behind(self) -> bool:
        """Whether the next strip is loaded behind what finishes the one before: that may read numbers that came with its weights; and the
        weights of several products would hold up its results, and with them the buffers of the next products."""
        return len(self.products) > 1 or any(product.op.sums is not None for product in self.products.values())

    def load_next(self, first: SSAValue, turn: Index) -> None:
        """The strip from `first` on, in front of its turn: its buffer is free when the product before the last one is made, and the vector
        instructions that wait for the last one come behind the load, if they can."""
        b = self.b
        if not self.has_loads:
            return

        def load() -> None:
            self.load_whole(self.strip(first, turn))

        def later() -> None:
            b.when(b.compare("sge", first, self.ahead), load)

        b.when(b.compare("slt", first, self.end), later if self.ahead else load)

    def final(self, product: Product, strip: Strip) -> SSAValue | None:
        """The columns of the result, if it is in SRAM whole."""
        return self.results.view(product.op.result, strip)

    def finish(self, strip: Strip) -> None:
        StripMembers(self.low, self.results, strip, self.finished, self.loaded).run(self.members)

    def finished(self, op: slmq.MatmulOp, strip: Strip) -> SSAValue:
        product = self.products[op]
        product.add_offsets(strip, product.products(strip))
        return product.finish(strip, self.final(product, strip))


def output_tensor(low: Lowering, value: SSAValue, out: SSAValue, results: Results) -> Tensor:
    """Where a value that leaves the group as `out` goes: over an operand from outside that dies in what makes it, or to a new place."""
    block = low.spilled.get(out, 0)
    for operand, reader in outside_operands(value):
        tensor = low.values.get(operand)
        if tensor is None or tensor.block != block or operand.type != value.type or tensor in results.places.values():
            continue
        if dies_at(operand, reader):
            return tensor
    return new_spilled(low, out) if block else low.result(value, "columns")


def outside_operands(value: SSAValue) -> Iterator[tuple[SSAValue, Operation]]:
    """What comes from outside of a group into the columns of one of its values, and the op that reads it: of each strip it has been read
    when the value is written. All strips read the input of a product."""
    producer = value.owner
    if not isinstance(producer, Operation) or isinstance(producer, slmq.MatmulOp):
        return
    for operand in producer.operands:
        if isinstance(operand.owner, Operation) and operand.owner.parent is producer.parent:
            yield from outside_operands(operand)
        else:
            yield operand, producer
