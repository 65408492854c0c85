"""Attention of one token: the KV blocks of all heads in one loop, so that the keys of a group of heads come while the one before ends."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.lowering.attention_loops import Attend
from compiler.lowering.builder import Index, select
from isa.spec import KV_BLOCK


@dataclass(frozen=True)
class Block:
    """A KV block of a group of heads: its first position, and the first head."""

    start: SSAValue
    head: Index


class AttendSingle(Attend):
    """Like Attend where its blocks overlap. A turn of the loop loads the keys of one block and the values of the block before, and
    multiplies both. The sums of a group of heads are finished when the loop is at the next one, behind the loads."""

    def at(self, head: Index) -> AttendSingle:
        """For another group of heads, in the same buffers."""
        other = copy(self)
        other.head, rows = head, self.rows.at(head)
        other.parts = [rows.of(part) for part in rows.part.halves()]
        return other

    def run(self) -> None:
        b, s = self.b, self.shape
        first, end = self.reach()
        start, groups = b.value(first), s.kv_heads // s.group
        blocks = b.div(b.add(b.sub(end, first), KV_BLOCK - 1), KV_BLOCK)
        turns = b.mul(blocks, groups)

        last = b.add(start, b.mul(b.sub(blocks, 1), KV_BLOCK))

        def turn(index: SSAValue, carried: list[SSAValue]) -> list[Index]:
            block = Block(carried[0], carried[1] if groups > 1 else 0)
            ends = b.compare("slt", index, turns), b.compare("eq", index, turns)
            self.turn(index, ends, (block, self.before(block, start, last)), (start, end))
            following = b.add(block.start, KV_BLOCK)
            if groups == 1:
                return [following]
            is_end = b.compare("sge", following, end)
            head = select(b, is_end, b.add(block.head, s.group), block.head)
            return [select(b, is_end, start, following), head]

        b.loop(0, b.add(turns, 1), 1, turn, [start, 0] if groups > 1 else [start])
        self.at(s.kv_heads - s.group).finish()

    def before(self, block: Block, first: SSAValue, last: Index) -> Block:
        """The block before one: of the first block of a group the last one of the group before."""
        b = self.b
        back = b.value(b.sub(block.start, KV_BLOCK))
        if isinstance(block.head, int):
            return Block(back, block.head)
        is_first = b.compare("eq", block.start, first)
        head = select(b, is_first, b.sub(block.head, self.shape.group), block.head)
        return Block(select(b, is_first, last, back), head)

    def turn(
        self,
        index: SSAValue,
        ends: tuple[SSAValue, SSAValue],
        blocks: tuple[Block, Block],
        reach: tuple[SSAValue, Index],
    ) -> None:
        """`ends`: whether there is a block, and that there is only the one before; `reach`: where the first block begins and the
        keys end."""
        b, s, (is_block, is_end), (block, before), (first, end) = self.b, self.shape, ends, blocks, reach
        here, there = self.at(block.head), self.at(before.head)
        is_before = b.compare("ne", index, 0)
        count, keys = b.least(b.sub(end, block.start), KV_BLOCK), b.least(b.sub(end, before.start), KV_BLOCK)
        new, old = self.new_entries(), self.new_entries()
        scales = self.block_scales()

        def load_block() -> None:
            here.load_entries(new, self.cache.k, s.slot(b, block.start), 0, count)

        def finish_before() -> None:
            b.when(b.compare("eq", before.start, first), lambda: self.restart(before.head))
            there.finish_scores(before.start, keys, *scales)

        b.when(is_block, load_block)
        b.when(is_before, lambda: there.load_before(old, scales, before.start, keys))
        if self.low.upcoming is not None:
            b.when(is_end, self.low.look_ahead)
        b.when(is_before, finish_before)
        for mine, theirs in zip(here.parts, there.parts, strict=True):
            b.when(is_block, lambda rows=mine: here.scores_of(rows, new, 0, count))
            b.when(is_before, lambda rows=theirs: there.values_of(rows, old, 0, keys))

    def restart(self, head: Index) -> None:
        """The sums of the group from a head on, behind those of the group before."""
        b = self.b
        if not isinstance(head, int):
            b.when(b.compare("ne", head, 0), lambda: self.at(b.sub(head, self.shape.group)).finish())
        self.at(head).start()
