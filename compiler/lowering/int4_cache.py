"""Where an int4 KV cache lies: keys with scales per channel, values with scales per position, in full blocks of 256 positions.

An i4 operand of a product is packed along the summed dimension: keys along channels, a row padded with zeros to whole groups of 32 (zero
terms that end a sum are what it adds anyway), values along positions. In DRAM:
    k_int4        [kv head][position][padded channels / 2]
    v_int4        [kv head][block][tile][channel][keys of the tile / 2]: a tile is read in one run
    k_scale_int4  [block][kv head][channel] f32, a block padded to 256 bytes
    v_scale_int4  [kv head][position] f32
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.values import Lowering
from compiler.sizes import padded
from isa.spec import KV_BLOCK

I4_GROUP = 32


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
