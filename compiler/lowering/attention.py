"""Attention: appends the chunk's keys and values to the cache, then runs over blocks of 256 absolute positions.

docs/numerics.md section 9. The cache of a layer is [kv head][position][head_dim] for keys and for values, each head contiguous; with a
window it is a ring of blocks. Scales of int8 entries are [kv head][position] f32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.values import Lowering, Tensor
from compiler.sizes import padded
from isa.spec import KV_BLOCK

SCORE_BUFFERS = ("scores", "probabilities", "running")
"""Labels of the buffers whose size depends on the key-value heads of a plan."""
LOWEST = -3.4028234663852886e38
UNLIMITED = (1 << 31) - 1


@dataclass(frozen=True)
class Shape:
    """Sizes of one attention op; `capacity` positions are kept per head, `group` heads are attended at once."""

    heads: int
    kv_heads: int
    head_dim: int
    capacity: int
    window: int | None
    cache_dtype: str
    dtype: str
    group: int
    key_tile: int

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


@dataclass(frozen=True)
class Cache:
    """Offsets in KV of one layer's parts."""

    k: SSAValue
    v: SSAValue
    k_scale: SSAValue | None
    v_scale: SSAValue | None


def shape_of(low: Lowering, op: slmq.AttentionOp) -> Shape:
    _, heads, head_dim = slm.shape_of(op.q)
    kv_heads = slm.shape_of(op.k)[1]
    window = None if op.window is None or op.window.value.data >= low.plan.context else op.window.value.data
    group = max(size for size in range(1, kv_heads + 1) if kv_heads % size == 0 and size <= low.plan.kv_heads)
    cache, dtype = slmq.element_of(op.k.type), slmq.element_of(op.q.type)
    capacity = cache_capacity(low.plan.context, window)
    return Shape(heads, kv_heads, head_dim, capacity, window, cache, dtype, group, low.plan.key_tile)


def cache_capacity(context: int, window: int | None) -> int:
    """Positions kept per head, in whole blocks: all of the context, or those a window can still reach and one block more."""
    capacity = padded(context, KV_BLOCK)
    return capacity if window is None else min(capacity, padded(window - 1, KV_BLOCK) + KV_BLOCK)


def lower_attention(low: Lowering, op: slmq.AttentionOp) -> None:
    shape = shape_of(low, op)
    scaled = op.k_scale is not None
    cache = Cache(
        state(low, op, shape, "k"),
        state(low, op, shape, "v"),
        state(low, op, shape, "k_scale") if scaled else None,
        state(low, op, shape, "v_scale") if scaled else None,
    )
    append(low, op, shape, cache)
    out = low.result(op.result, "attended")
    low.values[op.result] = out
    b = low.builder

    def heads(head: SSAValue, _: list[SSAValue]) -> list[Index]:
        attend(head)
        return []

    def attend(head: Index) -> None:
        Attend(low, shape, cache, low.values[op.q], out, softcap_of(op), head).run()

    if shape.group == shape.kv_heads:
        attend(0)
    else:
        b.loop(0, shape.kv_heads, shape.group, heads)


def softcap_of(op: slmq.AttentionOp | slmq.FullAttentionOp) -> float | None:
    return None if op.softcap is None else op.softcap.value.data


def state(low: Lowering, op: slmq.AttentionOp, shape: Shape, part: str) -> SSAValue:
    """Offset of a part of this layer's state."""
    entry = 4 if part.endswith("scale") else shape.entry_bytes
    what = {
        "name": op.state,
        "part": StringAttr(part),
        "size_bytes": IntegerAttr(shape.kv_heads * shape.capacity * entry, i64),
    }
    return low.place(tile.StateOp, what, op.state.data)


def append(low: Lowering, op: slmq.AttentionOp, shape: Shape, cache: Cache) -> None:
    """Stores the chunk's rows; a chunk never crosses a KV block, so its rows are contiguous in the ring too."""
    b = low.builder
    slot = b.rem(low.position, shape.capacity) if shape.window is not None else low.position
    for value, base in ((op.k, cache.k), (op.v, cache.v)):
        tensor, size = low.values[value], element_bytes(shape.cache_dtype)
        extents: list[Index] = [shape.head_dim, shape.kv_heads, low.rows]
        strides = [size, shape.capacity * shape.entry_bytes, shape.entry_bytes]
        place = Place("kv", offset=b.add(base, b.mul(slot, shape.entry_bytes)))
        b.store(b.view(place, shape.cache_dtype, extents, strides), low.view(tensor))
    for value, base in ((op.k_scale, cache.k_scale), (op.v_scale, cache.v_scale)):
        if value is not None and base is not None:
            tensor = low.values[value]
            place = Place("kv", offset=b.add(base, b.mul(slot, 4)))
            target = b.view(place, "f32", [1, shape.kv_heads, low.rows], [4, shape.capacity * 4, 4])
            b.store(target, b.view(tensor.place, "f32", [1, shape.kv_heads, low.rows], [4, 4, tensor.row_bytes]))


class Attend:
    """One group of key-value heads: the loop over KV blocks."""

    def __init__(
        self, low: Lowering, shape: Shape, cache: Cache, q: Tensor, out: Tensor, softcap: float | None, head: Index
    ):
        self.low, self.b, self.shape, self.cache, self.softcap, self.head = (
            low,
            low.builder,
            shape,
            cache,
            softcap,
            head,
        )
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

    def run(self) -> None:
        b, s = self.b, self.shape
        b.vun("mov", self.running_view(0, 1), LOWEST)
        b.vun("mov", self.running_view(1, 3), 0.0)
        b.vun("mov", self.acc, 0.0)
        first, end = self.reach()

        def block(start: SSAValue, _: list[SSAValue]) -> list[Index]:
            self.block(start, b.least(b.sub(end, start), KV_BLOCK))
            return []

        b.loop(first, end, KV_BLOCK, block)
        b.vbin("div", self.acc, self.acc, self.running_view(1, s.head_dim, repeat=True))

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
        b, s = self.b, self.shape
        slot = b.rem(start, s.capacity) if s.window is not None else start
        self.tiles(keys, lambda first, count: self.score_tile(slot, first, count))
        scores = self.score_view(self.scores, "f32", keys)
        if self.cache.k_scale is not None:
            b.vbin("mul", scores, scores, self.entry_scales(self.cache.k_scale, slot, keys))
        if self.softcap is not None:
            b.vbin("mul", scores, scores, 1 / self.softcap)
            b.vun("tanh", scores, scores)
            b.vbin("mul", scores, scores, self.softcap)
        self.softmax(scores, start, slot, keys)
        b.vbin("mul", self.acc, self.acc, self.running_view(2, s.head_dim, repeat=True))
        self.tiles(keys, lambda first, count: self.value_tile(slot, first, count))

    def softmax(self, scores: SSAValue, start: SSAValue, slot: Index, keys: Index) -> None:
        """Probabilities in the attention dtype; those of int8 values carry the values' scales."""
        b, s = self.b, self.shape
        target = self.score_view(self.probabilities, s.dtype, keys)
        scaled = self.cache.v_scale is not None
        first, window = (b.value(value) for value in self.visibility(start))
        p = scores if scaled else target
        b.insert(tile.VsmxOp(operands=[p, scores, self.running_view(0, 4), first, window]))
        if self.cache.v_scale is not None:
            b.vbin("mul", target, scores, self.entry_scales(self.cache.v_scale, slot, keys))

    def tiles(self, keys: Index, body: Callable[[Index, Index], None]) -> None:
        """Runs the body once for a whole block, or per tile of key_tile keys."""
        if self.shape.key_tile >= KV_BLOCK:
            body(0, keys)
            return

        def step(first: SSAValue, _: list[SSAValue]) -> list[Index]:
            body(first, self.b.least(self.b.sub(keys, first), self.shape.key_tile))
            return []

        self.b.loop(0, keys, self.shape.key_tile, step)

    def score_view(self, place: Place, dtype: str, keys: Index, offset: Index = 0) -> SSAValue:
        return self.b.view(place, dtype, [keys, *self.outer], self.score_strides(element_bytes(dtype)), offset)

    def load_entries(self, base: SSAValue, slot: Index, first: Index, count: Index) -> Place:
        """`count` keys or values of the group's heads, [head_dim, count, group] in SRAM."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        tile_keys = min(s.key_tile, KV_BLOCK)
        place = Place("sram", b.alloc("entries", s.group * tile_keys * s.entry_bytes, stream=True))
        extents: list[Index] = [s.head_dim, count, s.group]
        target = b.view(place, s.cache_dtype, extents, [size, s.entry_bytes, tile_keys * s.entry_bytes])
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
        head_bytes = min(s.key_tile, KV_BLOCK) * s.entry_bytes
        keys = b.view(place, s.cache_dtype, [s.head_dim, count, s.group], [size, s.entry_bytes, head_bytes])
        b.mm(self.score_view(self.scores, "f32", count, b.mul(first, 4)), self.q, keys)

    def value_tile(self, slot: Index, first: Index, count: Index) -> None:
        """acc += sum_j p[.., first + j] v_j: the values read along positions."""
        b, s, size = self.b, self.shape, element_bytes(self.shape.cache_dtype)
        place = self.load_entries(self.cache.v, slot, first, count)
        head_bytes = min(s.key_tile, KV_BLOCK) * s.entry_bytes
        values = b.view(place, s.cache_dtype, [count, s.head_dim, s.group], [s.entry_bytes, size, head_bytes])
        p = self.score_view(self.probabilities, s.dtype, count, b.mul(first, element_bytes(s.dtype)))
        b.mm(self.acc, p, values, accumulate=True)

    def entry_scales(self, base: SSAValue, slot: Index, keys: Index) -> SSAValue:
        """The f32 scales of a block's keys or values, broadcast over query heads and tokens."""
        b, s = self.b, self.shape
        place = Place("sram", b.alloc("entry_scales", s.group * KV_BLOCK * 4, stream=True))
        offset = b.add(b.add(base, b.mul(slot, 4)), b.mul(self.head, s.capacity * 4))
        source = b.view(Place("kv", offset=offset), "f32", [keys, s.group], [4, s.capacity * 4])
        b.load(b.view(place, "f32", [keys, s.group], [4, KV_BLOCK * 4]), source)
        return b.view(place, "f32", [keys, *self.outer], [4, 0, KV_BLOCK * 4, 0])
