"""Attention of one token: the KV blocks of all heads in one loop, so that the keys of a group of heads come while the one before ends."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.lowering.attention_loops import Attend
from compiler.lowering.builder import Index
from isa.spec import KV_BLOCK


@dataclass(frozen=True)
class Reach:
    """The keys that the token sees, of each head: the first block's start, the end, and the blocks between."""

    first: Index
    end: Index
    blocks: Index


@dataclass(frozen=True)
class Block:
    """A KV block of a group of heads: the first head, the first position, and how many keys the token sees."""

    head: Index
    start: SSAValue
    keys: Index


class AttendSingle(Attend):
    """Like Attend where its blocks overlap. A turn of the loop loads the keys of one block and the values of the block before, and
    multiplies both. The sums of a group of heads are finished when the loop is at the next one, behind the loads."""

    def run(self) -> None:
        b, s = self.b, self.shape
        first, end = self.reach()
        reach = Reach(first, end, b.div(b.add(b.sub(end, first), KV_BLOCK - 1), KV_BLOCK))
        turns = b.value(b.mul(reach.blocks, s.kv_heads // s.group))
        b.loop(0, b.add(turns, 1), 1, lambda index, _: self.turn(index, turns, reach))
        self.at(s.kv_heads - s.group).finish()

    def at(self, head: Index) -> AttendSingle:
        """For the group from another head on, in the same buffers."""
        other = copy(self)
        other.head, rows = head, self.rows.at(head)
        other.parts = [rows.of(part) for part in rows.part.halves()]
        return other

    def block_at(self, index: Index, reach: Reach) -> Block:
        """The block of a turn: one group of heads after the other."""
        b, s = self.b, self.shape
        group = 0 if s.group == s.kv_heads else b.div(index, reach.blocks)
        start = b.value(b.add(b.mul(b.sub(index, b.mul(group, reach.blocks)), KV_BLOCK), reach.first))
        return Block(b.mul(group, s.group), start, b.least(b.sub(reach.end, start), KV_BLOCK))

    def turn(self, index: SSAValue, turns: SSAValue, reach: Reach) -> list[Index]:
        b, s = self.b, self.shape
        block, before = self.block_at(index, reach), self.block_at(b.sub(index, 1), reach)
        here, there = self.at(block.head), self.at(before.head)
        is_block, is_before = b.compare("slt", index, turns), b.compare("ne", index, 0)
        new, old, scales = self.new_entries(), self.new_entries(), self.block_scales()

        def load_block() -> None:
            here.load_entries(new, self.cache.k, s.slot(b, block.start), 0, block.keys)

        def finish_before() -> None:
            b.when(b.compare("eq", before.start, reach.first), lambda: self.restart(before.head))
            there.finish_scores(before.start, before.keys, *scales)

        def load_values() -> None:
            there.load_entries(old, self.cache.v, s.slot(b, before.start), 0, before.keys)

        if scales != (None, None):  # in front of all that the softmax does not wait for
            b.when(is_before, lambda: there.load_block_scales(scales, before.start, before.keys))
        b.when(is_block, load_block)
        b.when(is_before, load_values)
        if self.low.upcoming is not None:
            b.when(b.compare("eq", index, turns), self.low.look_ahead)
        b.when(is_before, finish_before)
        for mine, theirs in zip(here.parts, there.parts, strict=True):
            b.when(is_block, lambda rows=mine: here.scores_of(rows, new, 0, block.keys))
            b.when(is_before, lambda rows=theirs: there.values_of(rows, old, 0, before.keys))
        return []

    def restart(self, head: Index) -> None:
        """The sums of the group from a head on, behind those of the group before."""
        b = self.b
        if not isinstance(head, int):
            b.when(b.compare("ne", head, 0), lambda: self.at(b.sub(head, self.shape.group)).finish())
        self.at(head).start()
