"""The first rows of the next layer, made where the last ones of a layer are.

Between two layers the matrix unit would have nothing to do until the rows of a layer's last region (a norm behind the MLP) have gone to
DRAM, and come back for the first region of the next one (the norm in front of attention). So the last region does the work of that on its
rows as well, and multiplies the first strips of the next layer with them. That layer finds all this done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm import has_tokens, row_shape
from compiler.lowering.ahead import NextLayer, located
from compiler.lowering.builder import Index, Place
from compiler.lowering.early_strips import EarlyStrips, can_come_early
from compiler.lowering.kinds import in_layer, layers_of
from compiler.lowering.norms import norm_vectors, norms_of
from compiler.lowering.row_regions import LowerOp, RowTiles
from compiler.lowering.strip_streams import StripStreams
from compiler.lowering.values import Lowering, Tensor
from compiler.walking import ops_of


class Ends(NamedTuple):
    """Of the layers of a kind: the first region, the group that reads its results, the last region, and which of that one's results is
    what the first region of the next layer reads."""

    first: slmq.RowsOp
    group: slmq.StripsOp
    last: slmq.RowsOp
    result: int


def ends_of(body_ops: Sequence[Operation], argument: SSAValue | None) -> Ends | None:
    """None if a layer does not begin and end with regions of rows, or more passes from one to the other than one value, `argument`."""
    if len(body_ops) < 4 or argument is None:
        return None
    (first, group), (last, end) = body_ops[:2], body_ops[-2:]
    if not isinstance(first, slmq.RowsOp) or not isinstance(group, slmq.StripsOp) or not isinstance(last, slmq.RowsOp):
        return None
    passed = next((number for number, out in enumerate(last.outs) if out is end.operands[0]), None)
    if passed is None or list(first.operands_read) != [argument] or not all(map(has_tokens, first.outs)):
        return None
    if any(not isinstance(use.operation, slmq.MatmulOp) for out in first.outs for use in out.uses):
        return None  # else the last region could read them, or what lies in their place, where those of the next layer are made
    inputs = {m.x for m in group.body.block.ops if isinstance(m, slmq.MatmulOp)}
    return Ends(first, group, last, passed) if inputs <= set(first.outs) else None


def all_ends(op: slm.LayersOp) -> list[Ends]:
    """Of all kinds of layers, if these begin alike; none if they do not, or if no layer follows another."""
    bodies = [op.body(kind) for kind in range(len(op.kinds))]
    found = [ends_of(list(body.ops), body.args[0] if len(body.args) == 1 else None) for body in bodies]
    ends = [end for end in found if end is not None]
    begin_alike = len(ends) == len(bodies) and len({shape_of_region(end.first) for end in ends}) == 1
    return ends if begin_alike and len(op.layer_kinds) > 1 else []


def shape_of_region(region: slmq.RowsOp) -> tuple[object, ...]:
    """What two regions have in common that do the same with other weights."""
    numbers: dict[SSAValue, int] = {value: number for number, value in enumerate(region.body.block.args)}
    found: list[object] = []
    for op in region.body.block.ops:
        numbers |= {result: len(numbers) + number for number, result in enumerate(op.results)}
        properties = [(n, p) for n, p in sorted(op.properties.items()) if not isinstance(p, slm.WeightAttr)]
        types = tuple(value.type for value in (*op.operands, *op.results))
        found.append((op.name, tuple(properties), tuple(numbers.get(value) for value in op.operands), types))
    return tuple(found)


def first_products(ends: Ends, streams: StripStreams) -> tuple[object, ...]:
    """What the first strips of two kinds of layers have in common if they are multiplied alike, with other weights."""
    outs: list[SSAValue] = list(ends.first.outs)
    of = [(outs.index(op.x), stream.shape, stream.form) for op, stream in streams.of.items()]
    return streams.rows, streams.columns, *of


def has_next_rows(module: ModuleOp) -> bool:
    return any(all_ends(op) for op in ops_of(slm.LayersOp, module))


class NextRows:
    """Of one stack of layers."""

    def __init__(self, low: Lowering, op: slm.LayersOp, ends: list[Ends], ahead: NextLayer, lower_op: LowerOp):
        self.low, self.b, self.op, self.ends, self.ahead, self.lower_op = low, low.builder, op, ends, ahead, lower_op
        self.made = [self.carried_rows(out) for out in ends[0].first.outs]
        self.sums = [room.at(self.carried(room.label, room.size_bytes)) for room in self.streams(0).sum_rooms()]
        self.rows: RowTiles | None = None
        self.has_next: SSAValue | None = None

    @staticmethod
    def of(low: Lowering, op: slm.LayersOp, ahead: NextLayer | None, lower_op: LowerOp) -> NextRows | None:
        """None if that is not wanted or not possible."""
        ends = all_ends(op)
        if not low.plan.passes_rows_on or ahead is None or not ends or op.values[0] not in low.spilled:
            return None
        groups = [kind.group for kind in ahead.kinds]
        if any(group is None or group[0] is not end.group for group, end in zip(groups, ends, strict=True)):
            return None
        if any(out in low.spilled for end in ends for out in end.first.outs):
            return None
        streams = [group[1] for group in groups if group is not None and can_come_early(group[1], low)]
        if len(streams) < len(groups) or len(set(map(first_products, ends, streams))) > 1:
            return None
        if len({tuple(kind.rooms()) for kind in ahead.kinds}) > 1:
            return None
        return NextRows(low, op, ends, ahead, lower_op)

    def carried(self, label: str, size_bytes: int) -> SSAValue:
        return self.b.alloc(label, size_bytes, carried=True)

    def carried_rows(self, value: SSAValue) -> Tensor:
        dtype, shape, low = slmq.element_of(value.type), row_shape(value), self.low
        tensor = Tensor(Place("sram"), dtype, shape, low.rows)
        return replace(tensor, place=Place("sram", self.carried("rows", low.most_rows * tensor.row_bytes)))

    def streams(self, kind: int) -> StripStreams:
        group = self.ahead.kinds[kind].group
        assert group is not None and isinstance(group[1], StripStreams)
        return group[1]

    def early(self, low: Lowering, kind: int) -> EarlyStrips:
        """The first strips of a kind, whose sums have their place."""
        streams = self.streams(kind)
        streams.take_sums(self.sums)
        early = EarlyStrips(low, self.ends[kind].group, streams)
        with in_layer(self.low, low.layer, low.layers):  # where its weights are
            early.begin()
        return early

    def tiles(self, low: Lowering, kind: int, most: int = 0) -> RowTiles:
        """The first region of a kind, whose results have their places."""
        first = self.ends[kind].first
        self.ahead.kinds[kind].hand_over()
        with located(low, first):
            tiles = RowTiles(
                replace(low, targets=dict(zip(first.outs, self.made, strict=True))), first, self.lower_op, None, most
            )
            tiles.start()
            tiles.early = self.early(low, kind)
        return tiles

    def make_first(self) -> None:
        """Those of the first layer."""
        kind = self.op.layer_kinds[0]
        low = replace(self.low, layer=self.b.value(0), layers=layers_of(self.op, kind))
        tiles = self.tiles(low, kind)
        with located(low, self.ends[kind].first):
            tiles.run()

    def begin(self, kind: int) -> None:
        """At the beginning of a layer, whose first region has been worked on."""
        first = self.ends[kind].first
        for weight, offset, _ in chain.from_iterable(map(norm_vectors, norms_of(first))):
            self.low.vectors_ahead.pop((weight, offset), None)
        self.low.values.update(zip(first.outs, self.made, strict=True))
        self.early(self.low, kind)

    def is_done(self, op: Operation) -> bool:
        return any(op is end.first for end in self.ends)

    def is_last(self, op: Operation) -> bool:
        return any(op is end.last for end in self.ends)

    # Behind the last region of a layer

    def prepare(self, most: int) -> None:
        """In front of its loop, which works on `most` rows at a time."""
        b, low = self.b, self.low
        assert low.layer is not None
        if not self.ahead.is_loaded:
            self.ahead.load()
        following = b.value(b.add(low.layer, 1))
        self.has_next = b.compare("slt", following, len(self.op.layer_kinds))
        for buffer in [*[tensor.place.buffer for tensor in self.made], *[turns.alloc for turns in self.sums]]:
            assert buffer is not None
            b.renew(buffer)
        self.rows = self.tiles(replace(low, layer=following, layers=layers_of(self.op, 0)), 0, most)
        self.rows.sources = [replace(self.rows.sources[0], block=0)]

    def work(self, first: Index, results: Sequence[Tensor], region: slmq.RowsOp) -> None:
        """On rows that the last region has just made."""
        rows, end = self.rows, next(end for end in self.ends if end.last is region)
        assert rows is not None and self.has_next is not None

        def some() -> None:
            with located(self.low, self.ends[0].first):
                rows.work(first, [results[end.result]], None)
                rows.multiply_early(first)

        self.b.when(self.has_next, some)
