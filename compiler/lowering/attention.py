"""Attention: appends the chunk's keys and values to the cache, then runs over blocks of 256 absolute positions.

docs/numerics.md section 9. The cache of a layer is [kv head][position][head_dim] for keys and for values, each head contiguous; with a
window it is a ring of blocks. Scales of int8 entries are [kv head][position] f32. attention_int4.py has the int4 cache.
"""

from __future__ import annotations

from dataclasses import replace

from xdsl.dialects.builtin import IntegerAttr, StringAttr, i64
from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq, tile
from compiler.lowering.attention_blocks import Cache, CacheRows, HeadRows, QueryRows, Shape, append_rows
from compiler.lowering.attention_int4 import AttendInt4
from compiler.lowering.attention_loops import Attend, FirstKeys
from compiler.lowering.attention_single import AttendSingle
from compiler.lowering.builder import Index, Place
from compiler.lowering.int4_cache import Int4Cache, Int4Layout
from compiler.lowering.query_tiles import QueryTiles, for_heads, has_first_keys
from compiler.lowering.spilling import load_rows, new_spilled
from compiler.lowering.strip_shapes import strip_shapes
from compiler.lowering.values import Lowering, Tensor
from compiler.sizes import padded
from isa.spec import KV_BLOCK

GROUPS_WITH_LOADS = 2
"""Of key-value heads: while they end, what comes behind an attention is loaded (QueryTiles.load_between). Another one must follow."""


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


def loads_between_groups(low: Lowering, op: slmq.AttentionOp) -> bool:
    """Whether what comes behind an attention can be loaded in it: while its first groups of heads end, and more follow."""
    shape = shape_of(low, op)
    return op.int4 is None and has_first_keys(low.plan, shape) and shape.kv_heads > GROUPS_WITH_LOADS * shape.group
