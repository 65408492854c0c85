"""Attention of a chunk's query rows over KV blocks of 256 absolute positions: docs/numerics.md, sections 5 and 9."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.dialects import tile
from compiler.lowering.builder import Index, Place, TileBuilder, element_bytes
from compiler.lowering.values import Lowering, Tensor
from isa.spec import KV_BLOCK

SCORE_BUFFERS = ("scores", "probabilities", "running", "folded", "channel_scales", "tile_scales")
"""Labels of the buffers whose size depends on the key-value heads of a plan."""
LOWEST = -3.4028234663852886e38
UNLIMITED = (1 << 31) - 1


@dataclass(frozen=True)
class Shape:
    """Sizes of one attention op; `capacity` positions are kept per head, in a ring or all; `group` heads are attended at once."""

    heads: int
    kv_heads: int
    head_dim: int
    capacity: int
    window: int | None
    cache_dtype: str
    dtype: str
    group: int
    key_tile: int
    is_ring: bool = False

    @property
    def queries(self) -> int:
        """Query heads per key-value head."""
        return self.heads // self.kv_heads

    @property
    def entry_bytes(self) -> int:
        """One head's key or value of one position."""
        return self.head_dim * element_bytes(self.cache_dtype)

    @property
    def row_bytes(self) -> int:
        """All heads' keys or values of one position."""
        return self.kv_heads * self.entry_bytes

    @property
    def tile_keys(self) -> int:
        """Keys loaded at once."""
        return min(self.key_tile, KV_BLOCK)

    def slot(self, b: TileBuilder, position: Index) -> Index:
        """Where a position lies among those kept."""
        return b.rem(position, self.capacity) if self.is_ring else position


@dataclass(frozen=True)
class Cache:
    """Offsets in KV of one layer's parts."""

    k: SSAValue
    v: SSAValue
    k_scale: SSAValue | None
    v_scale: SSAValue | None


class QueryRows:
    """The query rows of the key-value heads from `head` on: q, scores, (m, l, alpha, -) and weighted values."""

    def __init__(self, low: Lowering, shape: Shape, q: Tensor, out: Tensor, head: Index):
        self.low, self.b, self.shape, self.head = low, low.builder, shape, head
        s, size = shape, element_bytes(shape.dtype)
        chunk, rows = low.plan.chunk, s.group * s.queries
        q_offset = self.b.mul(head, s.queries * s.head_dim * size)
        q_strides = [size, s.head_dim * size, s.queries * s.head_dim * size, q.row_bytes]
        self.q = self.b.view(q.place, s.dtype, [s.head_dim, *self.outer], q_strides, q_offset)
        out_strides = [4, s.head_dim * 4, s.queries * s.head_dim * 4, out.row_bytes]
        out_offset = self.b.mul(head, s.queries * s.head_dim * 4)
        self.acc = self.b.view(out.place, "f32", [s.head_dim, *self.outer], out_strides, out_offset)
        self.scores = Place("sram", self.b.alloc("scores", chunk * rows * KV_BLOCK * 4))
        same = s.dtype == "f32"
        self.probabilities = (
            self.scores if same else Place("sram", self.b.alloc("probabilities", chunk * rows * KV_BLOCK * size))
        )
        self.running = Place("sram", self.b.alloc("running", chunk * rows * 16))

    @property
    def outer(self) -> list[Index]:
        """The dimensions of a row: query heads of a group, key-value heads, tokens."""
        return [self.shape.queries, self.shape.group, self.low.rows]

    def score_strides(self, size: int) -> list[Index]:
        row = KV_BLOCK * size
        return [size, row, self.shape.queries * row, self.shape.group * self.shape.queries * row]

    def running_view(self, word: int, size: int, repeat: bool = False) -> SSAValue:
        """Words of (m, l, alpha, -) per row; `repeat` broadcasts one word over `size` elements."""
        s = self.shape
        strides: list[Index] = [0 if repeat else 4, 16, s.queries * 16, s.group * s.queries * 16]
        return self.b.view(self.running, "f32", [size, *self.outer], strides, word * 4)

    def score_view(self, place: Place, dtype: str, keys: Index, offset: Index = 0) -> SSAValue:
        return self.b.view(place, dtype, [keys, *self.outer], self.score_strides(element_bytes(dtype)), offset)

    def start(self) -> None:
        self.b.vun("mov", self.running_view(0, 1), LOWEST)
        self.b.vun("mov", self.running_view(1, 3), 0.0)
        self.b.vun("mov", self.acc, 0.0)

    def rescale(self) -> None:
        """acc = acc * alpha."""
        self.b.vbin("mul", self.acc, self.acc, self.running_view(2, self.shape.head_dim, repeat=True))

    def finish(self) -> None:
        """acc = acc / l."""
        self.b.vbin("div", self.acc, self.acc, self.running_view(1, self.shape.head_dim, repeat=True))


class Attend:
    """The rows of one group of key-value heads over the KV blocks of a cache."""

    def __init__(self, low: Lowering, shape: Shape, cache: Cache, rows: QueryRows, softcap: float | None):
        self.low, self.b, self.shape, self.cache, self.rows = low, low.builder, shape, cache, rows
        self.head, self.softcap = rows.head, softcap

    def run(self) -> None:
        self.rows.start()
        self.blocks(*self.reach())
        self.rows.finish()

    def blocks(self, first: Index, end: Index) -> None:
        """The KV blocks that hold the positions first .. end - 1; `first` is the start of one."""
        b = self.b

        def block(start: SSAValue, _: list[SSAValue]) -> list[Index]:
            self.block(start, b.least(b.sub(end, start), KV_BLOCK))
            return []

        b.loop(first, end, KV_BLOCK, block)

    @property
    def streams(self) -> bool:
        """Whether entries are loaded in a loop over blocks or tiles, where the next load can run ahead."""
        return True

    def reach(self) -> tuple[Index, Index]:
        """The first block's start and the end of the keys that the chunk sees."""
        b, low, window = self.b, self.low, self.shape.window
        first: Index = 0
        if window is not None:
            oldest = b.greatest(b.sub(low.position, window - 1), 0)
            first = b.sub(oldest, b.rem(oldest, KV_BLOCK))
        return first, b.add(low.position, low.rows)

    def visibility(self, start: SSAValue) -> tuple[Index, Index]:
        """`first` and `window` of vsmx for the block from `start`."""
        return self.b.sub(self.low.position, start), self.shape.window or UNLIMITED

    def block(self, start: SSAValue, keys: Index) -> None:
        """One KV block of `keys` positions from `start`."""
        b, rows = self.b, self.rows
        slot = self.shape.slot(b, start)
        self.tiles(keys, lambda first, count: self.score_tile(slot, first, count))
        scores = rows.score_view(rows.scores, "f32", keys)
        if self.cache.k_scale is not None:
            b.vbin("mul", scores, scores, self.entry_scales(self.cache.k_scale, slot, keys))
        if self.softcap is not None:
            b.vbin("mul", scores, scores, 1 / self.softcap)
            b.vun("tanh", scores, scores)
            b.vbin("mul", scores, scores, self.softcap)
        self.softmax(scores, start, slot, keys)
        rows.rescale()
        self.tiles(keys, lambda first, count: self.value_tile(slot, first, count))

    def softmax(self, scores: SSAValue, start: SSAValue, slot: Index, keys: Index) -> None:
        """Probabilities in the attention dtype; those of int8 values carry the values' scales."""
        b, rows = self.b, self.rows
        target = rows.score_view(rows.probabilities, self.shape.dtype, keys)
        scaled = self.cache.v_scale is not None
        first, window = (b.value(value) for value in self.visibility(start))
        p = scores if scaled else target
        b.insert(tile.VsmxOp(operands=[p, scores, rows.running_view(0, 4), first, window]))
        if self.cache.v_scale is not None:
            b.vbin("mul", target, scores, self.entry_scales(self.cache.v_scale, slot, keys))

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

    def load_entries(self, base: SSAValue, slot: Index, first: Index, count: Index) -> Place:
        """`count` keys or values of the group's heads, [head_dim, count, group] in SRAM."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        place = Place("sram", b.alloc("entries", s.group * s.tile_keys * s.entry_bytes, stream=self.streams))
        extents: list[Index] = [s.head_dim, count, s.group]
        target = b.view(place, s.cache_dtype, extents, [size, s.entry_bytes, s.tile_keys * s.entry_bytes])
        b.load(target, self.entries(base, b.add(slot, first), extents))
        return place

    def entries(self, base: SSAValue, first: Index, extents: list[Index]) -> SSAValue:
        """Keys or values from position `first` on where they lie in DRAM, [head_dim, count, group]."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        offset = b.add(b.add(base, b.mul(first, s.entry_bytes)), b.mul(self.head, s.capacity * s.entry_bytes))
        strides = [size, s.entry_bytes, s.capacity * s.entry_bytes]
        return b.view(Place("kv", offset=offset), s.cache_dtype, extents, strides)

    def score_tile(self, slot: Index, first: Index, count: Index) -> None:
        """scores[.., first + j] = q . k_j."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        place = self.load_entries(self.cache.k, slot, first, count)
        head_bytes = s.tile_keys * s.entry_bytes
        keys = b.view(place, s.cache_dtype, [s.head_dim, count, s.group], [size, s.entry_bytes, head_bytes])
        b.mm(self.rows.score_view(self.rows.scores, "f32", count, b.mul(first, 4)), self.rows.q, keys)

    def value_tile(self, slot: Index, first: Index, count: Index) -> None:
        """acc += sum_j p[.., first + j] v_j: the values read along positions."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        place = self.load_entries(self.cache.v, slot, first, count)
        head_bytes = s.tile_keys * s.entry_bytes
        values = b.view(place, s.cache_dtype, [count, s.head_dim, s.group], [s.entry_bytes, size, head_bytes])
        p = self.rows.score_view(self.rows.probabilities, s.dtype, count, b.mul(first, element_bytes(s.dtype)))
        b.mm(self.rows.acc, p, values, accumulate=True)

    def entry_scales(self, base: SSAValue, slot: Index, keys: Index) -> SSAValue:
        """The f32 scales of a block's keys or values, broadcast over query heads and tokens."""
        b, s = self.b, self.shape
        place = Place("sram", b.alloc("entry_scales", s.group * KV_BLOCK * 4, stream=True))
        offset = b.add(b.add(base, b.mul(slot, 4)), b.mul(self.head, s.capacity * 4))
        source = b.view(Place("kv", offset=offset), "f32", [keys, s.group], [4, s.capacity * 4])
        b.load(b.view(place, "f32", [keys, s.group], [4, KV_BLOCK * 4]), source)
        return b.view(place, "f32", [keys, *self.rows.outer], [4, 0, KV_BLOCK * 4, 0])
