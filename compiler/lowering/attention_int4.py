"""The int4 KV cache: the block that fills up stays in bf16, full blocks have keys per channel and values per position.

docs/numerics.md, section 8 and 9. An i4 operand of a product is packed along the summed dimension: keys along channels, a row padded with
zeros to whole groups of 32 (zero terms that end a sum are what it adds anyway), values along positions. In DRAM:
    k_int4        [kv head][position][padded channels / 2]
    v_int4        [kv head][block][tile][channel][keys of the tile / 2]: a tile is read in one run
    k_scale_int4  [block][kv head][channel] f32, a block padded to 256 bytes
    v_scale_int4  [kv head][position] f32
A block is quantised behind the attention of the chunk that fills it, before a later block can take its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xdsl.ir import SSAValue

from compiler.lowering.attention_blocks import Attend, Cache, QueryRows, Shape
from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.values import Lowering
from compiler.sizes import padded
from isa.spec import KV_BLOCK

I4_GROUP = 32
BF16_BYTES = 2
INVERSE_7 = 1 / 7


def i4_view(
    b: TileBuilder, place: Place, extents: Sequence[Index], strides: Sequence[Index], offset: Index = 0
) -> SSAValue:
    """Strides of dimension 1 and on: dimension 0 is packed."""
    return b.view(place, "i4", extents, [0, *strides], offset, group=I4_GROUP)


@dataclass(frozen=True)
class Int4Layout:
    """`blocks` full blocks of all heads, a ring or all there are; values in tiles of `key_tile` positions."""

    kv_heads: int
    head_dim: int
    blocks: int
    key_tile: int = KV_BLOCK

    @property
    def positions(self) -> int:
        return self.blocks * KV_BLOCK

    @property
    def channels(self) -> int:
        """Of a stored key: whole groups."""
        return padded(self.head_dim, I4_GROUP)

    @property
    def key_bytes(self) -> int:
        """One head's key of one position."""
        return self.channels // 2

    @property
    def value_bytes(self) -> int:
        """One head's value of one position, on average of a tile; an odd number of channels is padded to whole bytes."""
        return padded(self.head_dim, 2) // 2

    @property
    def key_scale_bytes(self) -> int:
        """All heads' key scales for one position of a block, on average."""
        return padded(self.kv_heads * self.head_dim * 4, KV_BLOCK) // KV_BLOCK

    @property
    def position_bytes(self) -> int:
        """Key and value of one position, all heads."""
        return self.kv_heads * (self.key_bytes + self.value_bytes + 4) + self.key_scale_bytes

    def sizes(self) -> dict[str, int]:
        """Bytes of the parts, in the order of Int4Cache."""
        entries = self.kv_heads * self.positions
        return {
            "k": entries * self.key_bytes,
            "v": entries * self.value_bytes,
            "k_scale": self.positions * self.key_scale_bytes,
            "v_scale": entries * 4,
        }


@dataclass(frozen=True)
class Int4Cache:
    """Offsets in KV of one layer's full blocks."""

    layout: Int4Layout
    k: SSAValue
    v: SSAValue
    k_scale: SSAValue
    v_scale: SSAValue

    def keys(self, low: Lowering, head: Index, position: Index, extents: list[Index]) -> SSAValue:
        """[channels, keys, heads] from a kept position on."""
        b, size = low.builder, self.layout.key_bytes
        offset = b.add(b.mul(head, self.layout.positions * size), b.mul(position, size))
        return i4_view(b, Place("kv", offset=self.k), extents, [size, self.layout.positions * size], offset)

    def values(self, low: Lowering, head: Index, position: Index, extents: list[Index]) -> SSAValue:
        """[keys, channels, heads] of a tile of positions."""
        b, size = low.builder, self.layout.value_bytes
        offset = b.add(b.mul(head, self.layout.positions * size), b.mul(position, size))
        strides = [self.layout.key_tile // 2, self.layout.positions * size]
        return i4_view(b, Place("kv", offset=self.v), extents, strides, offset)

    def key_scales(self, low: Lowering, head: Index, position: Index, heads: int) -> SSAValue:
        """[channels, heads] of the block at a kept position."""
        b, row = low.builder, self.layout.head_dim * 4
        offset = b.add(b.mul(position, self.layout.key_scale_bytes), b.mul(head, row))
        return b.view(Place("kv", offset=self.k_scale), "f32", [self.layout.head_dim, heads], [4, row], offset)

    def value_scales(self, low: Lowering, head: Index, position: Index, extents: list[Index]) -> SSAValue:
        """[keys, heads] from a kept position on."""
        b, row = low.builder, self.layout.positions * 4
        offset = b.add(b.mul(position, 4), b.mul(head, row))
        return b.view(Place("kv", offset=self.v_scale), "f32", extents, [4, row], offset)


class AttendFull(Attend):
    """Over full blocks: the key scales go into the queries, the value scales into the probabilities."""

    def __init__(self, low: Lowering, shape: Shape, full: Int4Cache, rows: QueryRows, softcap: float | None):
        super().__init__(low, shape, Cache(full.k, full.v, None, full.v_scale), rows, softcap)
        self.full, self.layout = full, full.layout
        size_bytes = low.plan.chunk * shape.group * shape.queries * self.layout.channels * BF16_BYTES
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

    def value_tile(self, slot: Index, first: Index, count: Index) -> None:
        b, s, row = self.b, self.shape, self.shape.tile_keys // 2
        place = Place("sram", b.alloc("entries", s.group * s.head_dim * row, stream=True))
        extents: list[Index] = [count, s.head_dim, s.group]
        values = i4_view(b, place, extents, [row, s.head_dim * row])
        b.load(values, self.full.values(self.low, self.head, b.add(slot, first), extents))
        p = self.rows.score_view(self.rows.probabilities, s.dtype, count, b.mul(first, BF16_BYTES))
        b.mm(self.rows.acc, p, values, accumulate=True)


class AttendInt4(Attend):
    """Over full blocks, then over the residual block, whose cache is this one's; quantises that if the chunk fills it."""

    def __init__(
        self, low: Lowering, shape: Shape, cache: Cache, rows: QueryRows, softcap: float | None, full: Int4Cache | None
    ):
        super().__init__(low, shape, cache, rows, softcap)
        self.full = full

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
        b.vbin("mul", known, known, INVERSE_7)
        b.store(self.full.key_scales(self.low, self.head, self.slot, s.group), known)
        self.attend.tiles(KV_BLOCK, lambda first, count: self.key_tile(scales, first, count))

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

    def key_tile(self, scales: Place, first: Index, count: Index) -> None:
        b, s, channels, size = self.b, self.shape, self.layout.channels, self.layout.key_bytes
        place = self.recent(self.attend.cache.k, first, count, channels)
        extents: list[Index] = [channels, count, s.group]
        row = channels * BF16_BYTES
        packed = Place("sram", b.alloc("packed", s.group * s.tile_keys * size, stream=True))
        q = i4_view(b, packed, extents, [size, s.tile_keys * size])
        divisor = b.view(scales, "f32", extents, [4, 0, channels * 4])
        b.vbin("div", q, b.view(place, "bf16", extents, [BF16_BYTES, row, s.tile_keys * row]), divisor)
        b.store(self.full.keys(self.low, self.head, b.add(self.slot, first), extents), q)

    def value_tile(self, first: Index, count: Index) -> None:
        b, s, keys, row = self.b, self.shape, self.shape.tile_keys, self.shape.head_dim * BF16_BYTES
        place = self.recent(self.attend.cache.v, first, count, s.head_dim)
        scales = Place("sram", b.alloc("tile_scales", s.group * keys * 4, stream=True))
        rows = b.view(place, "bf16", [s.head_dim, count, s.group], [BF16_BYTES, row, keys * row])
        b.vred("amax", b.view(scales, "f32", [1, count, s.group], [4, 4, keys * 4]), rows)
        known = b.view(scales, "f32", [count, s.group], [4, keys * 4])
        b.vbin("mul", known, known, INVERSE_7)
        position = b.add(self.slot, first)
        b.store(self.full.value_scales(self.low, self.head, position, [count, s.group]), known)
        extents: list[Index] = [count, s.head_dim, s.group]
        packed = Place("sram", b.alloc("packed", s.group * s.head_dim * keys // 2, stream=True))
        q = i4_view(b, packed, extents, [keys // 2, s.head_dim * keys // 2])
        divisor = b.view(scales, "f32", extents, [4, 0, keys * 4])
        b.vbin("div", q, b.view(place, "bf16", extents, [row, BF16_BYTES, keys * row]), divisor)
        b.store(self.full.values(self.low, self.head, position, extents), q)
