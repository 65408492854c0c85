"""Attention of a chunk with values in DRAM: some tokens at a time, one group of key-value heads after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from xdsl.ir import SSAValue

from compiler.lowering.attention_blocks import HeadRows, QueryRows, Shape
from compiler.lowering.attention_loops import Attend, FirstKeys, load_first_keys
from compiler.lowering.builder import Index, Place, element_bytes, place_of
from compiler.lowering.plan import EARLY_KEYS, TilePlan
from compiler.lowering.spilling import blocks_view, staging
from compiler.lowering.values import Lowering, Tensor, rows_of
from isa.spec import KV_BLOCK

if TYPE_CHECKING:
    from compiler.lowering.ahead import Ahead

MakeAttend = Callable[[Lowering, Shape, QueryRows, FirstKeys | None], Attend]
"""The attention of tokens to a group of key-value heads: what is known of them, sizes, their rows, and where the first keys are."""


def for_heads(low: Lowering, shape: Shape, attend: Callable[[Index], None]) -> None:
    """Runs attend(first head) for each group of key-value heads."""

    def heads(head: SSAValue, _: list[SSAValue]) -> list[Index]:
        attend(head)
        return []

    if shape.group == shape.kv_heads:
        attend(0)
    else:
        low.builder.loop(0, shape.kv_heads, shape.group, heads)


def has_first_keys(plan: TilePlan, shape: Shape) -> bool:
    """Whether the first keys of a group of heads come early."""
    return plan.early & EARLY_KEYS > 0 and shape.key_tile >= KV_BLOCK and shape.dtype != "f32"


class QueryTiles:
    """Attention of some tokens at a time, for a group of heads: what is in SCRATCH is loaded and stored by head."""

    def __init__(self, low: Lowering, shape: Shape, q: Tensor, out: Tensor, attend: MakeAttend, keys: SSAValue):
        self.low, self.b, self.shape, self.q, self.out, self.attend = low, low.builder, shape, q, out, attend
        self.most = min(low.plan.query_tile, low.plan.chunk)
        self.keys = keys
        self.first_keys: Place | None = None

    def run(self) -> None:
        if has_first_keys(self.low.plan, self.shape):
            size_bytes = self.shape.group * self.shape.tile_keys * self.shape.entry_bytes
            self.first_keys = Place("sram", self.b.alloc("first_entries", size_bytes))
            self.load_first(0, 0)

        def tokens(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            part = self.low.some_rows(first, self.b.least(self.b.sub(self.low.rows, first), self.most), self.most)
            for_heads(part, self.shape, lambda head: self.turn(part, first, head))
            return []

        self.b.loop(0, self.low.rows, self.most, tokens)

    def turn(self, part: Lowering, first: Index, head: Index) -> None:
        """The queries of the key-value heads from `head` on."""
        b, own = self.b, self.b.mul(head, self.shape.queries)
        q, out = (self.heads(tensor, part, first, head) for tensor in (self.q, self.out))
        if self.q.block:
            b.load(self.inside(q.tensor), self.outside(self.q, first, part.rows, own))
        rows = QueryRows(part, self.shape, q, replace(out, by_part=bool(self.out.block)), head, self.sums(part))
        place = self.first_keys
        ahead = None if place is None else FirstKeys(place, lambda: self.load_next(first, head))
        attention = self.attend(part, self.shape, rows, ahead)
        attention.run()
        for rows in attention.parts:
            if self.out.block:
                self.store(rows, first, part.rows)

    def sums(self, part: Lowering) -> HeadRows | None:
        """Where weighted values are added up, if not where they go: there the rows of parts lie between each other, and hardware that
        compares intervals lets one part wait for the other. Large ones have no room of their own."""
        s = self.shape
        rows = Tensor(Place("sram"), "f32", (s.group * s.queries, s.head_dim), part.rows)
        if self.out.block or self.most * rows.row_bytes > self.low.plan.row_bytes:
            return None
        place = Place("sram", self.b.alloc("attended_rows", self.most * rows.row_bytes))
        return HeadRows(replace(rows, place=place), 0, by_part=True)

    def load_next(self, first: Index, head: Index) -> None:
        """The first keys of the next turn: of the next heads, or of the next tokens, if there are some."""
        b, heads, tokens = self.b, self.b.add(head, self.shape.group), self.b.add(first, self.most)

        def more() -> None:
            b.when(b.compare("slt", tokens, self.low.rows), lambda: self.load_first(tokens, 0))

        if self.shape.group == self.shape.kv_heads:
            more()
        else:
            b.when(b.compare("slt", heads, self.shape.kv_heads), lambda: self.load_first(first, heads), more)
        if self.low.between is not None:
            self.load_between(self.low.between, b.value(b.add(b.mul(first, self.shape.kv_heads), head)))

    def load_between(self, ahead: Ahead, turn: SSAValue) -> None:
        """What comes behind the attention, in two parts: DRAM has time for one in a group of heads. In front of the first keys the matrix
        unit would wait for all of it. `turn`: 0 and the heads of a group are the first two."""
        b = self.b
        b.when(b.compare("eq", turn, 0), ahead.begin_loading)
        b.when(b.compare("eq", turn, self.shape.group), ahead.load)

    def load_first(self, first: Index, head: Index) -> None:
        """The first keys of the tokens from `first` on, and of the key-value heads from `head` on."""
        assert self.first_keys is not None
        part = self.low.some_rows(first, self.b.least(self.b.sub(self.low.rows, first), self.most), self.most)
        load_first_keys(part, self.shape, self.keys, head, self.first_keys)

    def store(self, rows: QueryRows, first: Index, count: Index) -> None:
        """A part's results to SCRATCH, [head_dim, tokens, heads]."""
        b, heads, row_bytes = self.b, rows.part.heads * rows.part.queries, self.shape.head_dim * 4
        place = place_of(b, rows.acc)
        source = b.view(place, "f32", [self.shape.head_dim, count, heads], [4, heads * row_bytes, row_bytes])
        b.store(blocks_view(self.low, self.out, (first, count), rows.first_query_head(), heads), source)

    def heads(self, tensor: Tensor, part: Lowering, first: Index, head: Index) -> HeadRows:
        """The turn's tokens: of all heads in SRAM, or a buffer for those of the group."""
        if not tensor.block:
            return HeadRows(rows_of(self.low, tensor, first, part.rows), head)
        s = self.shape
        few = replace(tensor, shape=(s.group * s.queries, s.head_dim))
        return HeadRows(staging(self.low, few, part.rows, self.most, "query_rows"), 0)

    def inside(self, staged: Tensor) -> SSAValue:
        heads, head_dim = staged.shape
        size = element_bytes(staged.dtype)
        strides: list[Index] = [size, staged.row_bytes, head_dim * size]
        return self.b.view(staged.place, staged.dtype, [head_dim, staged.rows, heads], strides)

    def outside(self, tensor: Tensor, first: Index, count: Index, head: Index) -> SSAValue:
        s = self.shape
        return blocks_view(self.low, tensor, (first, count), head, s.group * s.queries)
