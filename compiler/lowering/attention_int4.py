"""Attention over an int4 KV cache: the block that fills up stays in bf16, full blocks are int4 (int4_cache.py).

docs/numerics.md, sections 8 and 9. A block is quantised behind the attention of the chunk that fills it, before a later block can take
its place.
"""

from __future__ import annotations

from dataclasses import replace

from xdsl.ir import SSAValue

from compiler.lowering.attention_blocks import Cache, QueryRows, Shape
from compiler.lowering.attention_loops import Attend
from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.elementwise import SMALLEST_RANGE
from compiler.lowering.int4_cache import Int4Cache, i4_view
from compiler.lowering.values import Lowering
from isa.spec import KV_BLOCK

BF16_BYTES = 2
LARGEST = 7


class AttendFull(Attend):
    """Over full blocks: the key scales go into the queries, the value scales into the probabilities."""

    def __init__(self, low: Lowering, shape: Shape, full: Int4Cache, rows: QueryRows, softcap: float | None):
        super().__init__(low, shape, Cache(full.k, full.v, None, full.v_scale), rows, softcap)
        self.parts = [rows]  # as over the residual block: both work on the same sums
        self.full, self.layout = full, full.layout
        size_bytes = low.most_rows * shape.group * shape.queries * self.layout.channels * BF16_BYTES
        self.folded = Place("sram", self.b.alloc("folded", size_bytes))

    def queries(self, channels: int, first: int = 0) -> SSAValue:
        """Some channels of the folded queries."""
        row = self.layout.channels * BF16_BYTES
        strides: list[Index] = [BF16_BYTES, row, self.shape.queries * row, self.shape.group * self.shape.queries * row]
        return self.b.view(self.folded, "bf16", [channels, *self.rows.outer], strides, first * BF16_BYTES)

    def blocks(self, first: Index, end: Index) -> None:
        """`end` is the end of a full block too."""
        b, s = self.b, self.shape
        if self.layout.channels > s.head_dim:
            b.vun("mov", self.queries(self.layout.channels - s.head_dim, s.head_dim), 0.0)

        def block(start: SSAValue, _: list[SSAValue]) -> list[Index]:
            self.fold(s.slot(b, start))
            self.block(start, KV_BLOCK)
            return []

        b.loop(first, end, KV_BLOCK, block)

    def fold(self, slot: Index) -> None:
        """q'_k = round(q'_k * sk_k)."""
        b, s = self.b, self.shape
        row = s.head_dim * 4
        place = Place("sram", b.alloc("channel_scales", s.group * row, stream=True))
        b.load(
            b.view(place, "f32", [s.head_dim, s.group], [4, row]),
            self.full.key_scales(self.low, self.head, slot, s.group),
        )
        scales = b.view(place, "f32", [s.head_dim, *self.rows.outer], [4, 0, row, 0])
        b.vbin("mul", self.queries(s.head_dim), self.rows.q, scales)

    def score_tile(self, slot: Index, first: Index, count: Index) -> None:
        b, s, size = self.b, self.shape, self.layout.key_bytes
        place = Place("sram", b.alloc("entries", s.group * s.tile_keys * size, stream=True))
        extents: list[Index] = [self.layout.channels, count, s.group]
        keys = i4_view(b, place, extents, [size, s.tile_keys * size])
        b.load(keys, self.full.keys(self.low, self.head, b.add(slot, first), extents))
        scores = self.rows.score_view(self.rows.scores, "f32", count, b.mul(first, 4))
        b.mm(scores, self.queries(self.layout.channels), keys)

    def values(self, place: Place, count: Index) -> SSAValue:
        """A tile of values in SRAM, along positions."""
        s, row = self.shape, self.shape.tile_keys // 2
        return i4_view(self.b, place, [count, s.head_dim, s.group], [row, s.head_dim * row])

    def load_values(self, slot: Index, first: Index, count: Index) -> Place:
        b, s = self.b, self.shape
        place = Place("sram", b.alloc("entries", s.group * s.head_dim * s.tile_keys // 2, stream=True))
        extents: list[Index] = [count, s.head_dim, s.group]
        b.load(self.values(place, count), self.full.values(self.low, self.head, b.add(slot, first), extents))
        return place

    def add_values(self, place: Place, first: Index, count: Index) -> None:
        b, s, values = self.b, self.shape, self.values(place, count)
        p = self.rows.score_view(self.rows.probabilities, s.dtype, count, b.mul(first, BF16_BYTES))
        b.mm(self.rows.acc, p, values, accumulate=True)


class AttendInt4(Attend):
    """Over full blocks, then over the residual block, whose cache is this one's; quantises that if the chunk fills it."""

    def __init__(
        self, low: Lowering, shape: Shape, cache: Cache, rows: QueryRows, softcap: float | None, full: Int4Cache | None
    ):
        super().__init__(low, shape, cache, rows, softcap)
        self.parts = [rows]
        self.full = full

    @property
    def starts_late(self) -> bool:
        return False

    @property
    def streams(self) -> bool:
        return self.shape.key_tile < KV_BLOCK

    def run(self) -> None:
        super().run()
        if self.full is not None:
            b, quantise = self.b, Quantise(self, self.full)
            filled = b.rem(b.add(self.low.position, self.low.rows), KV_BLOCK)
            b.when(b.compare("eq", filled, 0), quantise.run)

    def blocks(self, first: Index, end: Index) -> None:
        b, low = self.b, self.low
        current = b.sub(low.position, b.rem(low.position, KV_BLOCK))
        if self.full is not None:
            AttendFull(low, self.full_shape(self.full), self.full, self.rows, self.softcap).blocks(first, current)
        self.block(b.value(current), b.sub(end, current))

    def full_shape(self, full: Int4Cache) -> Shape:
        is_ring = self.shape.window is not None
        return replace(self.shape, capacity=full.layout.positions, cache_dtype="i4", is_ring=is_ring)


class Quantise:
    """The residual block of one group of heads to int4, in tiles of key_tile positions."""

    def __init__(self, attend: AttendInt4, full: Int4Cache):
        self.attend, self.full, self.layout = attend, full, full.layout
        self.low, self.b, self.shape, self.head = attend.low, attend.b, attend.shape, attend.head
        self.slot: Index = 0

    def run(self) -> None:
        b, low = self.b, self.low
        current = b.sub(low.position, b.rem(low.position, KV_BLOCK))
        self.slot = self.attend.full_shape(self.full).slot(b, current)
        self.keys()
        self.attend.tiles(KV_BLOCK, self.value_tile)

    def keys(self) -> None:
        """All keys decide the scales of the channels: a second pass quantises."""
        b, s = self.b, self.shape
        scales = Place("sram", b.alloc("channel_scales", s.group * self.layout.channels * 4))
        b.vun("mov", self.channel_scales(scales, self.layout.channels), 0.0)
        known = self.channel_scales(scales, s.head_dim)
        self.attend.tiles(KV_BLOCK, lambda first, count: self.widen(known, first, count))
        inverses = Place("sram", b.alloc("channel_inverses", s.group * self.layout.channels * 4))
        b.vun("mov", self.channel_scales(inverses, self.layout.channels), 0.0)
        scale_of(b, known, self.channel_scales(inverses, s.head_dim))
        b.store(self.full.key_scales(self.low, self.head, self.slot, s.group), known)
        self.attend.tiles(KV_BLOCK, lambda first, count: self.key_tile(inverses, first, count))

    def channel_scales(self, place: Place, channels: int) -> SSAValue:
        return self.b.view(place, "f32", [channels, self.shape.group], [4, self.layout.channels * 4])

    def recent(self, cache: SSAValue, first: Index, count: Index, channels: int) -> Place:
        """`count` keys or values of the residual block as bf16 [group][key_tile][channels] in SRAM, zeros behind head_dim."""
        b, s, row = self.b, self.shape, channels * BF16_BYTES
        place = Place("sram", b.alloc("entries", s.group * s.tile_keys * row, stream=True))
        strides: list[Index] = [BF16_BYTES, row, s.tile_keys * row]
        extents: list[Index] = [s.head_dim, count, s.group]
        if channels > s.head_dim:
            rest = [channels - s.head_dim, count, s.group]
            b.vun("mov", b.view(place, "bf16", rest, strides, s.head_dim * BF16_BYTES), 0.0)
        b.load(b.view(place, "bf16", extents, strides), self.attend.entries(cache, first, extents))
        return place

    def widen(self, scales: SSAValue, first: Index, count: Index) -> None:
        """scales = max(scales, amax over the keys of a tile)."""
        b, s, row = self.b, self.shape, self.shape.head_dim * BF16_BYTES
        place = self.recent(self.attend.cache.k, first, count, s.head_dim)
        largest = Place("sram", b.alloc("tile_scales", s.group * s.head_dim * 4, stream=True))
        along = b.view(place, "bf16", [count, s.head_dim, s.group], [row, BF16_BYTES, s.tile_keys * row])
        b.vred("amax", b.view(largest, "f32", [1, s.head_dim, s.group], [4, 4, s.head_dim * 4]), along)
        b.vbin("max", scales, scales, b.view(largest, "f32", [s.head_dim, s.group], [4, s.head_dim * 4]))

    def key_tile(self, inverses: Place, first: Index, count: Index) -> None:
        b, s, channels, size = self.b, self.shape, self.layout.channels, self.layout.key_bytes
        place = self.recent(self.attend.cache.k, first, count, channels)
        extents: list[Index] = [channels, count, s.group]
        row = channels * BF16_BYTES
        packed = Place("sram", b.alloc("packed", s.group * s.tile_keys * size, stream=True))
        q = i4_view(b, packed, extents, [size, s.tile_keys * size])
        factor = b.view(inverses, "f32", extents, [4, 0, channels * 4])
        b.vbin("mul", q, b.view(place, "bf16", extents, [BF16_BYTES, row, s.tile_keys * row]), factor)
        b.store(self.full.keys(self.low, self.head, b.add(self.slot, first), extents), q)

    def value_tile(self, first: Index, count: Index) -> None:
        b, s, keys, row = self.b, self.shape, self.shape.tile_keys, self.shape.head_dim * BF16_BYTES
        place = self.recent(self.attend.cache.v, first, count, s.head_dim)
        scales = Place("sram", b.alloc("tile_scales", s.group * keys * 4, stream=True))
        rows = b.view(place, "bf16", [s.head_dim, count, s.group], [BF16_BYTES, row, keys * row])
        b.vred("amax", b.view(scales, "f32", [1, count, s.group], [4, 4, keys * 4]), rows)
        known = b.view(scales, "f32", [count, s.group], [4, keys * 4])
        inverses = Place("sram", b.alloc("tile_inverses", s.group * keys * 4, stream=True))
        scale_of(b, known, b.view(inverses, "f32", [count, s.group], [4, keys * 4]))
        position = b.add(self.slot, first)
        b.store(self.full.value_scales(self.low, self.head, position, [count, s.group]), known)
        extents: list[Index] = [count, s.head_dim, s.group]
        packed = Place("sram", b.alloc("packed", s.group * s.head_dim * keys // 2, stream=True))
        q = i4_view(b, packed, extents, [keys // 2, s.head_dim * keys // 2])
        factor = b.view(inverses, "f32", extents, [4, 0, keys * 4])
        b.vbin("mul", q, b.view(place, "bf16", extents, [row, BF16_BYTES, keys * row]), factor)
        b.store(self.full.values(self.low, self.head, position, extents), q)


def scale_of(b: TileBuilder, largest: SSAValue, inverse: SSAValue) -> None:
    """a = max(largest, 2^-119): inverse = 7 / a, and the largest numbers become scales a * f32(1/7)."""
    b.vbin("max", largest, largest, SMALLEST_RANGE)
    b.invert(inverse, largest, LARGEST)
    b.vbin("mul", largest, largest, 1 / LARGEST)
