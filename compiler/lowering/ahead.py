"""Loads that run ahead of the ops they are for: weights of the next products, and vectors of norms before them.

Instructions are issued in order and queues are short. Were the first weights of a group of products loaded where the group begins,
DRAM would wait for the last strip of the group before, and for norms, rounding and attention in between. So they are loaded before that
strip is finished (Lowering.look_ahead), those of a layer before the last strip of the layer before.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from math import prod

from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm.norms import NormBase
from compiler.locations import named
from compiler.lowering.kinds import in_layer, kind_chain, layers_of
from compiler.lowering.norms import norm_vectors, norms_of
from compiler.lowering.row_strips import RowStreams
from compiler.lowering.sampling import chosen_rows
from compiler.lowering.strip_buffers import Room, Turns
from compiler.lowering.strip_streams import StripStreams, streams_of
from compiler.lowering.tensors import load_to, vector_place
from compiler.lowering.values import Lowering, Upcoming, VectorKey
from compiler.lowering.wide_streams import WideStreams
from compiler.sizes import to_granules

PASSED = (slmq.RowsOp, slmq.TensorOp)
"""Ops that loads may run ahead of: they have none of their own but the vectors of norms."""
MOST_KINDS = 4
"""Of layers: each kind asks which one the next layer is of, and has instructions for each."""


@contextmanager
def located(low: Lowering, op: Operation) -> Generator[None]:
    """What is built meanwhile belongs to an op."""
    outer, low.builder.location = low.builder.location, named(op.name.split(".", 1)[1], op.location)
    yield
    low.builder.location = outer


class Ahead:
    """What the first of some ops load, up to a group of products. `then`: what comes behind all of them. `through`: the loads come in
    front of a group, and go on behind an attention that reads it: some of the weights behind the attention come before it, the others
    while it ends."""

    def __init__(self, low: Lowering, ops: Sequence[Operation], then: Upcoming | None = None, through: bool = False):
        self.low, self.b, self.then = low, low.builder, then
        self.beyond: Ahead | None = None
        self.begun = 0
        self.vectors: dict[VectorKey, tuple[NormBase, Room]] = {}
        self.group: tuple[slmq.StripsOp, RowStreams | StripStreams | WideStreams] | None = None
        self.selected: Ahead | None = None
        self.given: list[Turns] = []
        self.is_loaded = False
        self.multiply: Callable[[], None] | None = None
        """The first products of the group, if they are made as soon as its first strips are there."""
        for position, op in enumerate(ops):
            if isinstance(op, slmq.RowsOp | slmq.StripsOp):
                self.add_norms(op)
            if isinstance(op, slmq.SelectRowsOp):
                rest = [o for o in ops[position:] if not isinstance(o, slmq.SelectRowsOp)]
                self.selected = Ahead(low, rest)
            if isinstance(op, slmq.StripsOp):
                self.group = (op, streams_of(low, op))
            if not isinstance(op, PASSED):
                if through and isinstance(op, slmq.AttentionOp):
                    self.beyond = Ahead(low, ops[position + 1 :], then)
                self.then = None
                break

    def add_norms(self, op: slmq.RowsOp | slmq.StripsOp) -> None:
        for norm in norms_of(op):
            for weight, offset, label in norm_vectors(norm):
                room = Room(label, to_granules(prod(weight.shape) * 4), 1)
                self.vectors.setdefault((weight, offset), (norm, room))

    def rooms(self) -> list[Room]:
        """Of the buffers, in this order."""
        inner = self.selected.rooms() if self.selected is not None else []
        return [*[room for _, room in self.vectors.values()], *(self.group[1].rooms() if self.group else []), *inner]

    @property
    def is_empty(self) -> bool:
        return not self.rooms() and self.then is None and self.beyond is None

    @property
    def waits(self) -> bool:
        """Products that are made at once may have the buffers of the group in front."""
        return self.multiply is not None

    def allocate(self) -> None:
        """Buffers of its own."""
        if self.beyond is not None:
            self.beyond.allocate()
        self.take([room.at(self.b.alloc(room.label, room.size_bytes)) for room in self.rooms()])

    def share(self, alloc: SSAValue) -> None:
        """Parts of a buffer."""
        start, given = 0, list[Turns]()
        for room in self.rooms():
            given.append(room.at(alloc, start))
            start += room.size_bytes
        self.take(given)

    def take(self, given: Sequence[Turns]) -> None:
        self.given = list(given[: len(self.vectors)])
        given = given[len(self.vectors) :]
        if self.group is not None:
            streams = self.group[1]
            count = len(streams.rooms())
            streams.go_ahead(given[:count])
            given = given[count:]
        if self.selected is not None:
            self.selected.take(given)

    def load(self) -> None:
        low, b = self.low, self.b
        self.is_loaded = True
        for ((weight, offset), (norm, _)), room in zip(self.vectors.items(), self.given, strict=True):
            with located(low, norm):
                load_to(low, room.place(b, 0), vector_place(low, weight, offset), prod(weight.shape))
        if self.group is not None:
            with located(low, self.group[0]):
                self.group[1].load_ahead(self.begun)
        if self.multiply is not None:
            self.multiply()
        if self.beyond is not None:
            self.beyond.begin_loading()
        if self.selected is not None:
            b.when(b.compare("ne", chosen_rows(low), 0), self.selected.load)
        if self.then is not None:
            self.then.load()

    def begin_loading(self) -> None:
        """The first strip, which hides the end of what comes before an attention; the next ones hide the end of the attention."""
        if self.group is not None:
            with located(self.low, self.group[0]):
                self.group[1].load_ahead(0, 1)
            self.begun = 1

    def hand_over(self) -> None:
        """From here on the ops find what has been loaded."""
        for key, room in zip(self.vectors, self.given, strict=True):
            self.low.vectors_ahead[key] = room.place(self.b, 0)
        if self.group is not None:
            self.low.streams[self.group[0]] = self.group[1]
        if self.selected is not None:
            self.selected.hand_over()


def finishes_with_weights(body: Block) -> bool:
    """Whether the first group of a layer is its last one as well, and reads numbers that came with its weights when it is finished: those
    of the next layer come before that, and to the same place."""
    groups = [op for op in body.ops if isinstance(op, slmq.StripsOp)]
    members = groups[0].body.block.ops if len(groups) == 1 else ()
    return any(isinstance(member, slmq.MatmulOp) and member.sums is not None for member in members)


class NextLayer:
    """What the next layer of a stack loads first, or behind the last one the ops that follow the stack, if there is one token. All of them
    have one buffer, in use from the end of a layer to the beginning of the next one. In between others may have its memory, but beside one
    token, which leaves room for both: there the loads would wait for what lies in it. A single layer hands none on: canonicalize leaves no
    loop in which that would be."""

    def __init__(self, low: Lowering, op: slm.LayersOp, following: Sequence[Operation]):
        self.low, self.b, self.op, self.is_loaded = low, low.builder, op, False
        self.kinds = [Ahead(low, list(op.body(kind).ops)) for kind in range(len(op.kinds))]
        self.behind = Ahead(low, following if low.plan.ahead else ())
        every = (*self.kinds, self.behind)
        self.size_bytes = max(sum(room.size_bytes for room in ahead.rooms()) for ahead in every)
        self.is_carried = len(op.layer_kinds) > 1 and not low.plan.ahead
        self.alloc = self.b.alloc("ahead", self.size_bytes, carried=self.is_carried)
        for ahead in every:
            ahead.share(self.alloc)

    @property
    def waits(self) -> bool:
        return False

    @staticmethod
    def of(low: Lowering, op: slm.LayersOp, following: Sequence[Operation]) -> NextLayer | None:
        """None if there is nothing to load before its time, or too many kinds of layers, or it would come over what is still needed."""
        if any(finishes_with_weights(op.body(kind)) for kind in range(len(op.kinds))):
            return None
        ahead = NextLayer(low, op, following) if len(op.kinds) <= MOST_KINDS else None
        return ahead if ahead is not None and ahead.size_bytes else None

    def load_first(self) -> None:
        """For the first layer."""
        self.load_layer(self.b.value(0), self.op.layer_kinds[0])

    def load(self) -> None:
        b, count = self.b, len(self.op.layer_kinds)
        assert self.low.layer is not None
        following = b.value(b.add(self.low.layer, 1))
        self.is_loaded = True
        if self.is_carried:
            b.renew(self.alloc)
        b.when(b.compare("slt", following, count), lambda: self.load_any(following), self.behind.load)

    def load_any(self, layer: SSAValue) -> None:
        kind_chain(self.low, self.op, layer, lambda kind: self.load_layer(layer, kind))

    def load_layer(self, layer: SSAValue, kind: int) -> None:
        with in_layer(self.low, layer, layers_of(self.op, kind)):
            self.kinds[kind].load()

    def begin(self, kind: int) -> None:
        """At the beginning of a layer."""
        self.is_loaded = False
        self.kinds[kind].hand_over()
