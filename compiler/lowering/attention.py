"""Attention: appends the chunk's keys and values to the cache, then runs over blocks of 256 absolute positions.

docs/numerics.md section 9. The cache of a layer is [kv head][position][head_dim] for keys and for values, each head contiguous; with a
window it is a ring of blocks. Scales of int8 entries are [kv head][position] f32. attention_int4.py has the int4 cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.attention_blocks import Cache, CacheRows, HeadRows, QueryRows, Shape, append_rows
from compiler.lowering.attention_int4 import AttendInt4
from compiler.lowering.attention_loops import Attend, FirstKeys, load_first_keys
from compiler.lowering.attention_single import AttendSingle
from compiler.lowering.builder import Index, Place, element_bytes, place_of
from compiler.lowering.int4_cache import Int4Cache, Int4Layout
from compiler.lowering.plan import EARLY_KEYS
from compiler.lowering.spilling import blocks_view, load_rows, new_spilled, staging
from compiler.lowering.strip_shapes import strip_shapes
from compiler.lowering.values import Lowering, Tensor, rows_of
from compiler.sizes import padded
from isa.spec import KV_BLOCK

MakeAttend = Callable[[Lowering, Shape, QueryRows, FirstKeys | None], Attend]
"""The attention of tokens to a group of key-value heads: what is known of them, sizes, their rows, and where the first keys are."""


def shape_of(low: Lowering, op: slmq.AttentionOp) -> Shape:
    _, heads, head_dim = slm.shape_of(op.q)
    kv_heads = slm.shape_of(op.k)[1]
    window = None if op.window is None or op.window.value.data >= low.plan.context else op.window.value.data
    group = max(size for size in range(1, kv_heads + 1) if kv_heads % size == 0 and size <= low.plan.kv_heads)
    cache, dtype = slmq.element_of(op.k.type), slmq.element_of(op.q.type)
    capacity = cache_capacity(low.plan.context, window)
    return Shape(
        heads, kv_heads, head_dim, capacity, window, cache, dtype, group, low.plan.key_tile, window is not None
    )


def cache_capacity(context: int, window: int | None) -> int:
    """Positions kept per head, in whole blocks: all of the context, or those a window can still reach and one block more."""
    capacity = padded(context, KV_BLOCK)
    return capacity if window is None else min(capacity, padded(window - 1, KV_BLOCK) + KV_BLOCK)


def full_blocks(context: int, window: int | None) -> int:
    """Blocks that an int4 cache keeps: all that can fill up, or those a window reaches from the block after them."""
    blocks = context // KV_BLOCK
    return blocks if window is None else min(blocks, padded(window - 1, KV_BLOCK) // KV_BLOCK)


def lower_attention(low: Lowering, op: slmq.AttentionOp) -> None:
    shape = shape_of(low, op)
    out = new_spilled(low, op.result) if op.result in low.spilled else low.result(op.result, "attended")
    low.values[op.result] = out
    if op.int4 is not None:
        lower_int4(low, op, shape)
        return
    scaled = op.k_scale is not None
    cache = Cache(
        state(low, op, shape, "k"),
        state(low, op, shape, "v"),
        state(low, op, shape, "k_scale") if scaled else None,
        state(low, op, shape, "v_scale") if scaled else None,
    )
    append(low, op, shape, cache)

    def attend(part: Lowering, shape: Shape, rows: QueryRows, ahead: FirstKeys | None) -> Attend:
        return Attend(part, shape, cache, rows, softcap_of(op), ahead)

    q = low.values[op.q]
    if low.plan.spills:
        QueryTiles(low, shape, q, out, attend, cache.k).run()
        return
    if low.rows == 1:
        rows = QueryRows(low, shape, HeadRows(q, 0), HeadRows(out, 0), 0)
        single = AttendSingle(low, shape, cache, rows, softcap_of(op))
        if single.overlaps:
            single.run()
            return

    def all_tokens(head: Index) -> None:
        attend(low, shape, QueryRows(low, shape, HeadRows(q, head), HeadRows(out, head), head), None).run()

    for_heads(low, shape, all_tokens)


def lower_int4(low: Lowering, op: slmq.AttentionOp, shape: Shape) -> None:
    """The block that is not full is a ring of one block in bf16."""
    recent = replace(shape, capacity=KV_BLOCK, is_ring=True)
    cache = Cache(state(low, op, recent, "k"), state(low, op, recent, "v"), None, None)
    layout = Int4Layout(shape.kv_heads, shape.head_dim, full_blocks(low.plan.context, shape.window), low.plan.key_tile)
    full = None
    if layout.blocks:
        sizes = layout.sizes()
        full = Int4Cache(layout, *[place_state(low, op, f"{part}_int4", size) for part, size in sizes.items()])
    append(low, op, recent, cache)

    def attend(head: Index) -> None:
        q, out = (HeadRows(low.values[value], head) for value in (op.q, op.result))
        rows = QueryRows(low, recent, q, out, head)
        AttendInt4(low, recent, cache, rows, softcap_of(op), full).run()

    for_heads(low, shape, attend)


def for_heads(low: Lowering, shape: Shape, attend: Callable[[Index], None]) -> None:
    """Runs attend(first head) for each group of key-value heads."""

    def heads(head: SSAValue, _: list[SSAValue]) -> list[Index]:
        attend(head)
        return []

    if shape.group == shape.kv_heads:
        attend(0)
    else:
        low.builder.loop(0, shape.kv_heads, shape.group, heads)


def softcap_of(op: slmq.AttentionOp | slmq.FullAttentionOp) -> float | None:
    return None if op.softcap is None else op.softcap.value.data


def state(low: Lowering, op: slmq.AttentionOp, shape: Shape, part: str) -> SSAValue:
    """Offset of a part of this layer's state."""
    entry = 4 if part.endswith("scale") else shape.entry_bytes
    return place_state(low, op, part, shape.kv_heads * shape.capacity * entry)


def place_state(low: Lowering, op: slmq.AttentionOp, part: str, size_bytes: int) -> SSAValue:
    what = {"name": op.state, "part": StringAttr(part), "size_bytes": IntegerAttr(size_bytes, i64)}
    return low.place(tile.StateOp, what, op.state.data)


def appended(low: Lowering, value: SSAValue) -> CacheRows | None:
    """Where keys or values go that nothing but an attention reads: to its cache at once, head by head, or some rows at a time if they
    would go to DRAM anyway."""
    uses = tuple(value.uses)
    op = uses[0].operation if len(uses) == 1 else None
    if not isinstance(op, slmq.AttentionOp) or op.int4 is not None or uses[0].index not in (1, 2):
        return None
    if isinstance(value.owner, slmq.StripsOp):
        if has_parts_of_heads(low, value.owner, slm.shape_of(value)[-1]):
            return None
    elif not isinstance(value.owner, slmq.RowsOp) or value not in low.spilled:
        return None
    b, shape = low.builder, shape_of(low, op)
    base = state(low, op, shape, "k" if value == op.k else "v")
    return CacheRows(b.add(base, b.mul(shape.slot(b, low.position), shape.entry_bytes)), shape)


def has_parts_of_heads(low: Lowering, op: slmq.StripsOp, head_dim: int) -> bool:
    """Whether a strip may end within a head."""
    return any(shape.rows % head_dim for shape in strip_shapes(low.plan, op).values())


def append(low: Lowering, op: slmq.AttentionOp, shape: Shape, cache: Cache) -> None:
    """Stores the chunk's rows; a chunk never crosses a KV block, so its rows are contiguous in the ring too."""
    b = low.builder
    slot = shape.slot(b, low.position)
    for value, base in ((op.k, cache.k), (op.v, cache.v)):
        if value in low.appended:
            continue
        rows = CacheRows(b.add(base, b.mul(slot, shape.entry_bytes)), shape)
        if low.values[value].block:
            append_spilled(low, low.values[value], rows)
        else:
            append_rows(b, rows, 0, low.values[value])
    for value, base in ((op.k_scale, cache.k_scale), (op.v_scale, cache.v_scale)):
        if value is not None and base is not None:
            tensor = low.values[value]
            place = Place("kv", offset=b.add(base, b.mul(slot, 4)))
            target = b.view(place, "f32", [1, shape.kv_heads, low.rows], [4, shape.capacity * 4, 4])
            b.store(target, b.view(tensor.place, "f32", [1, shape.kv_heads, low.rows], [4, 4, tensor.row_bytes]))


def append_spilled(low: Lowering, tensor: Tensor, cache: CacheRows) -> None:
    """Rows in SCRATCH, some at a time."""
    b, most = low.builder, low.plan.row_tile(tensor.row_bytes)

    def some(first: SSAValue, _: list[SSAValue]) -> list[Index]:
        staged = load_rows(low, tensor, first, b.least(b.sub(low.rows, first), most), most)
        append_rows(b, cache, first, staged)
        return []

    b.loop(0, low.rows, most, some)


class QueryTiles:
    """Attention of some tokens at a time, for a group of heads: what is in SCRATCH is loaded and stored by head."""

    def __init__(self, low: Lowering, shape: Shape, q: Tensor, out: Tensor, attend: MakeAttend, keys: SSAValue):
        self.low, self.b, self.shape, self.q, self.out, self.attend = low, low.builder, shape, q, out, attend
        self.most = min(low.plan.query_tile, low.plan.chunk)
        self.keys = keys
        self.first_keys: Place | None = None

    def run(self) -> None:
        if self.low.plan.early & EARLY_KEYS and self.shape.key_tile >= KV_BLOCK and self.shape.dtype != "f32":
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
