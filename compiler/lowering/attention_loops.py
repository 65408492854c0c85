"""Attention of a chunk's query rows over KV blocks of 256 absolute positions: docs/numerics.md, sections 5 and 9."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.dialects import tile
from compiler.lowering.attention_blocks import UNLIMITED, Cache, QueryRows, Shape
from compiler.lowering.builder import Index, Place, TileBuilder, element_bytes
from compiler.lowering.values import Lowering
from isa.spec import KV_BLOCK


@dataclass(frozen=True)
class FirstKeys:
    """The keys of the first block of a group of heads are in a place of their own: they come while the group before is finished, whose
    results would else be stored first. `load` issues those of the next group."""

    place: Place
    load: Callable[[], None]


def reach_of(low: Lowering, shape: Shape) -> tuple[Index, Index]:
    """The first block's start and the end of the keys that the tokens see."""
    b, window = low.builder, shape.window
    first: Index = 0
    if window is not None:
        oldest = b.greatest(b.sub(low.position, window - 1), 0)
        first = b.sub(oldest, b.rem(oldest, KV_BLOCK))
    return first, b.add(low.position, low.rows)


def entries_of(b: TileBuilder, s: Shape, base: SSAValue, head: Index, first: Index, extents: list[Index]) -> SSAValue:
    """Keys or values from position `first` and from a head on where they lie in DRAM, [head_dim, count, group]."""
    offset = b.add(b.add(base, b.mul(first, s.entry_bytes)), b.mul(head, s.capacity * s.entry_bytes))
    strides = [element_bytes(s.cache_dtype), s.entry_bytes, s.capacity * s.entry_bytes]
    return b.view(Place("kv", offset=offset), s.cache_dtype, extents, strides)


def load_first_keys(low: Lowering, s: Shape, keys: SSAValue, head: Index, place: Place) -> None:
    """The keys of the first block of some tokens, of the key-value heads from `head` on."""
    b, (first, end) = low.builder, reach_of(low, s)
    extents: list[Index] = [s.head_dim, b.least(b.sub(end, first), KV_BLOCK), s.group]
    strides = [element_bytes(s.cache_dtype), s.entry_bytes, s.tile_keys * s.entry_bytes]
    source = entries_of(b, s, keys, head, s.slot(b, first), extents)
    b.load(b.view(place, s.cache_dtype, extents, strides), source)


class Attend:
    """The rows of one group of key-value heads over the KV blocks of a cache.

    They are worked on in two parts: the softmax of one runs while the matrix unit has the products of the other.
    """

    def __init__(
        self,
        low: Lowering,
        shape: Shape,
        cache: Cache,
        rows: QueryRows,
        softcap: float | None,
        ahead: FirstKeys | None = None,
    ):
        self.ahead = ahead
        self.low, self.b, self.shape, self.cache, self.rows = low, low.builder, shape, cache, rows
        self.head, self.softcap = rows.head, softcap
        self.parts = [rows.of(part) for part in rows.part.halves()]
        self.first: SSAValue | None = None

    def run(self) -> None:
        first, end = self.reach()
        if self.starts_late:
            self.first = self.b.value(first)
        else:
            self.start()
        self.blocks(first, end)
        if self.ahead is not None:
            self.ahead.load()
        if self.shape.group == self.shape.kv_heads:
            self.low.look_ahead()
        self.finish()

    def finish(self) -> None:
        for rows in self.parts:
            rows.finish()

    def start(self) -> None:
        for rows in self.parts:
            rows.start()

    def blocks(self, first: Index, end: Index) -> None:
        """The KV blocks that hold the positions first .. end - 1; `first` is the start of one."""
        b = self.b
        if self.overlaps:
            b.loop(first, b.add(end, KV_BLOCK), KV_BLOCK, lambda start, _: self.overlapped(start, first, end))
            return

        def block(start: SSAValue, _: list[SSAValue]) -> list[Index]:
            self.block(start, b.least(b.sub(end, start), KV_BLOCK))
            return []

        b.loop(first, end, KV_BLOCK, block)

    @property
    def overlaps(self) -> bool:
        """Whether the scores of a block can be there with the probabilities of the one before, and keys come by whole blocks."""
        return self.shape.key_tile >= KV_BLOCK and self.rows.probabilities != self.rows.scores

    @property
    def starts_late(self) -> bool:
        """Whether the sums are cleared behind the scores of the first block. The vector unit is busy with the group before until then,
        and its queue is short: the first keys would wait to be loaded."""
        return True

    @property
    def streams(self) -> bool:
        """Whether entries are loaded in a loop over blocks or tiles, where the next load can run ahead."""
        return True

    def reach(self) -> tuple[Index, Index]:
        """The first block's start and the end of the keys that the chunk sees."""
        return reach_of(self.low, self.shape)

    def visibility(self, start: SSAValue) -> tuple[Index, Index]:
        """`first` and `window` of vsmx for the block from `start`."""
        return self.b.sub(self.low.position, start), self.shape.window or UNLIMITED

    def block(self, start: SSAValue, keys: Index) -> None:
        """One KV block of `keys` positions from `start`."""
        slot = self.shape.slot(self.b, start)
        self.tiles(keys, lambda first, count: self.score_tile(slot, first, count))
        if self.first is not None:
            self.b.when(self.b.compare("eq", start, self.first), self.start)
        k_scales, v_scales = (
            None if base is None else self.load_scales(self.new_scales(), base, slot, keys)
            for base in (self.cache.k_scale, self.cache.v_scale)
        )
        # A queue does not hold the vector instructions of both parts: a load behind them would wait for the scores.
        ahead = self.load_values(slot, 0, keys) if self.shape.key_tile >= KV_BLOCK else None
        self.finish_scores(start, keys, k_scales, v_scales)
        if ahead is not None:
            self.add_values(ahead, 0, keys)
            return
        self.tiles(keys, lambda first, count: self.add_values(self.load_values(slot, first, count), first, count))

    def overlapped(self, start: SSAValue, first: Index, end: Index) -> list[Index]:
        """The scores of the block from `start` on, and the rest of the one before: the matrix unit has scores to work on while the
        vector unit has those of the block before, even where a softmax takes as long as the products."""
        b, shape = self.b, self.shape
        before = b.sub(start, KV_BLOCK)
        count, keys = b.least(b.sub(end, start), KV_BLOCK), b.least(b.sub(end, before), KV_BLOCK)
        is_before, is_block = b.compare("ne", start, first), b.compare("slt", start, end)
        new, old = self.new_entries(), self.new_entries()
        bases = [(base, self.new_scales()) for base in (self.cache.k_scale, self.cache.v_scale) if base is not None]

        def load_before() -> None:
            slot = shape.slot(b, before)
            self.load_entries(old, self.cache.v, slot, 0, keys)
            for base, place in bases:
                self.load_scales(place, base, slot, keys)

        def load_block() -> None:
            self.load_entries(new, self.cache.k, shape.slot(b, start), 0, count)

        def scores(rows: QueryRows) -> None:
            if self.ahead is None:
                self.scores_of(rows, new, 0, count)
                return
            early = self.ahead.place
            is_later = b.compare("ne", start, first)
            b.when(is_later, lambda: self.scores_of(rows, new, 0, count), lambda: self.scores_of(rows, early, 0, count))

        if self.ahead is not None:
            b.when(is_block, lambda: b.when(b.compare("ne", start, first), load_block))
        else:
            b.when(is_block, load_block)
        b.when(is_before, load_before)
        b.when(b.compare("eq", before, first), self.start)
        k_scales, v_scales = (place for _, place in bases) if bases else (None, None)

        b.when(is_before, lambda: self.finish_scores(b.value(before), keys, k_scales, v_scales))
        for rows in self.parts:
            b.when(is_block, lambda rows=rows: scores(rows))
            b.when(is_before, lambda rows=rows: self.values_of(rows, old, 0, keys))
        return []

    def block_scales(self) -> tuple[Place | None, Place | None]:
        """Buffers for the scales of a block's keys and values."""
        k, v = (None if base is None else self.new_scales() for base in (self.cache.k_scale, self.cache.v_scale))
        return k, v

    def load_block_scales(self, scales: tuple[Place | None, Place | None], start: Index, keys: Index) -> None:
        """Of the keys and values of a block, where they have scales."""
        slot = self.shape.slot(self.b, start)
        for base, target in zip((self.cache.k_scale, self.cache.v_scale), scales, strict=True):
            if base is not None and target is not None:
                self.load_scales(target, base, slot, keys)

    def finish_scores(self, start: SSAValue, keys: Index, k_scales: Place | None, v_scales: Place | None) -> None:
        for rows in self.parts:
            self.softmax(rows, start, keys, k_scales, v_scales)
            rows.rescale()

    def softmax(
        self, rows: QueryRows, start: SSAValue, keys: Index, k_scales: Place | None, v_scales: Place | None
    ) -> None:
        """Probabilities in the attention dtype; scores carry the scales of int8 keys, probabilities those of values."""
        b, scores = self.b, rows.score_view(rows.scores, "f32", keys)
        if k_scales is not None:
            b.vbin("mul", scores, scores, self.scales(rows, k_scales, keys))
        if self.softcap is not None:
            b.vbin("mul", scores, scores, 1 / self.softcap)
            b.vun("tanh", scores, scores)
            b.vbin("mul", scores, scores, self.softcap)
        target = rows.score_view(rows.probabilities, self.shape.dtype, keys)
        first, window = (b.value(value) for value in self.visibility(start))
        p = target if v_scales is None else scores
        b.insert(tile.VsmxOp(operands=[p, scores, rows.running_view(0, 4), first, window]))
        if v_scales is not None:
            b.vbin("mul", target, scores, self.scales(rows, v_scales, keys))

    def tiles(self, keys: Index, body: Callable[[Index, Index], None]) -> None:
        """Runs the body once for a whole block, or per tile of key_tile keys: all of them full where `keys` is a number."""
        size = self.shape.key_tile
        if size >= KV_BLOCK:
            body(0, keys)
            return

        def step(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            body(first, size if isinstance(keys, int) else self.b.least(self.b.sub(keys, first), size))
            return []

        self.b.loop(0, keys, size, step)

    def new_entries(self) -> Place:
        """A buffer for a tile of keys or values of the group's heads."""
        s = self.shape
        return Place("sram", self.b.alloc("entries", s.group * s.tile_keys * s.entry_bytes, stream=self.streams))

    def load_entries(self, place: Place, base: SSAValue, slot: Index, first: Index, count: Index) -> Place:
        """`count` keys or values of the group's heads, [head_dim, count, group] in SRAM."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        extents: list[Index] = [s.head_dim, count, s.group]
        target = b.view(place, s.cache_dtype, extents, [size, s.entry_bytes, s.tile_keys * s.entry_bytes])
        b.load(target, self.entries(base, b.add(slot, first), extents))
        return place

    def entries(self, base: SSAValue, first: Index, extents: list[Index]) -> SSAValue:
        """Keys or values from position `first` on where they lie in DRAM, [head_dim, count, group]."""
        return entries_of(self.b, self.shape, base, self.head, first, extents)

    def score_tile(self, slot: Index, first: Index, count: Index) -> None:
        """scores[.., first + j] = q . k_j."""
        place = self.load_entries(self.new_entries(), self.cache.k, slot, first, count)
        for rows in self.parts:
            self.scores_of(rows, place, first, count)

    def scores_of(self, rows: QueryRows, place: Place, first: Index, count: Index) -> None:
        """Of a part, with keys in SRAM."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        head_bytes = s.tile_keys * s.entry_bytes
        extents: list[Index] = [s.head_dim, count, rows.part.heads]
        offset = rows.part.first_head * head_bytes
        keys = b.view(place, s.cache_dtype, extents, [size, s.entry_bytes, head_bytes], offset)
        b.mm(rows.score_view(rows.scores, "f32", count, b.mul(first, 4)), rows.q, keys)

    def load_values(self, slot: Index, first: Index, count: Index) -> Place:
        """`count` values of the group's heads in SRAM."""
        return self.load_entries(self.new_entries(), self.cache.v, slot, first, count)

    def add_values(self, place: Place, first: Index, count: Index) -> None:
        """acc += sum_j p[.., first + j] v_j: the values read along positions."""
        for rows in self.parts:
            self.values_of(rows, place, first, count)

    def values_of(self, rows: QueryRows, place: Place, first: Index, count: Index) -> None:
        """Of a part, with values in SRAM."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        head_bytes = s.tile_keys * s.entry_bytes
        extents: list[Index] = [count, s.head_dim, rows.part.heads]
        offset = rows.part.first_head * head_bytes
        values = b.view(place, s.cache_dtype, extents, [s.entry_bytes, size, head_bytes], offset)
        p = rows.score_view(rows.probabilities, s.dtype, count, b.mul(first, element_bytes(s.dtype)))
        b.mm(rows.acc, p, values, accumulate=True)

    def new_scales(self) -> Place:
        """A buffer for the scales of a block."""
        return Place("sram", self.b.alloc("entry_scales", self.shape.group * KV_BLOCK * 4, stream=True))

    def load_scales(self, place: Place, base: SSAValue, slot: Index, keys: Index) -> Place:
        """The f32 scales of a block's keys or values, [keys, heads]."""
        b, s = self.b, self.shape
        offset = b.add(b.add(base, b.mul(slot, 4)), b.mul(self.head, s.capacity * 4))
        source = b.view(Place("kv", offset=offset), "f32", [keys, s.group], [4, s.capacity * 4])
        b.load(b.view(place, "f32", [keys, s.group], [4, KV_BLOCK * 4]), source)
        return place

    def scales(self, rows: QueryRows, place: Place, keys: Index) -> SSAValue:
        """The same, broadcast over query heads and tokens."""
        offset = rows.part.first_head * KV_BLOCK * 4
        return self.b.view(place, "f32", [keys, *rows.outer], [4, 0, KV_BLOCK * 4, 0], offset)
