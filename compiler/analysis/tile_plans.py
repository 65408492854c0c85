"""The plans that choose-tiling tries: chunks, and parts of the SRAM for strips, scores and rows, as sizes of a TilePlan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Protocol

from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.analysis.spills import spill_classes, spilled_values
from compiler.dialects import slm, slmq
from compiler.dialects.slm import row_shape
from compiler.images import encoder_of
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import KEY_TILES, ROW_TILES, TilePlan
from compiler.lowering.row_regions import widest_bytes
from compiler.lowering.segments import is_sparse
from compiler.lowering.strip_buffers import TILE_TURNS
from compiler.lowering.strip_shapes import (
    can_stay_in_sums,
    is_late,
    is_streamed,
    late_input,
    late_reader,
    wide_product,
    wide_shape_of,
)
from compiler.lowering.values import ancestor_in
from compiler.sizes import padded
from isa.spec import KV_BLOCK

# Those that divide a KV block, which no chunk crosses, into parts of about equal size.
CHUNKS = (128, 88, 64, 52, 44, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
# SRAM shares tried for each chunk: (weights of one strip, attention buffers of one kind), as divisors of the SRAM size.
SHARES = ((16, 4), (32, 8), (64, 16))
LAST_SHARES = ((128, 32), (256, 64), (1024, 1024))
LARGEST_STRIP_BYTES = (256 << 10, 512 << 10)  # up to 128 and from 256 rows of the array on, in proportion between
# Of plans with values in DRAM: (largest value of a chunk in SRAM, weights of one strip, scores), as divisors of the SRAM size.
SPILL_SHARES = ((2, 8, 4), (2, 8, 8), (4, 8, 4), (4, 16, 4), (16, 8, 4), (16, 16, 4), (32, 32, 8), (64, 64, 16))
# The same where the largest inputs of products come from DRAM, too: those above a part of the SRAM, with products of a strip
# that take another part of it.
STREAM_SHARES = ((2, 8, 4), (8, 8, 4), (16, 16, 4), (64, 64, 16))
STREAMED_INPUTS, STREAMED_PRODUCTS = 2, 4
STREAMED_ROWS = (16, 1024)
PRODUCT_BYTES = 4
# Where experts take the tokens of a step at once: tokens, the chunks of all else, rows of an expert at once.
STEP_TOKENS = (512, 256)
STEP_CHUNKS = (128, 64, 32)
EXPERT_ROWS = (256, 192, 160, 128, 96, 64, 48, 32)
MOST_KEPT = 2
"""Values that are tried in SRAM although they can lie in DRAM."""
KEPT_SHARE = 7 / 8
"""Of the SRAM: what such a value may take with the input of a product beside it, and two strips of weights. The rest is for results."""
KEY_SHARE = 8  # of the SRAM, for the keys at once, or half of what scores take
ROW_SHARE, LARGEST_ROW_SHARE = 16, 8
"""Of the SRAM, for the widest rows of a tile; at most, where those of the layers' own values need more."""
RUN_ROWS = 4
"""Rows of a region of values in DRAM, where there is room for so many: of fewer, runs are so short that each waits for a row of DRAM."""
SHORT_HEAD = 128
WIDE_SHARE = 7 / 8
"""Of the SRAM: what sums of all columns, tiles of the input and weights take. The rest is for results and rotary embedding."""
MOST_WIDE_TILES = 16
TAIL_PART = 1 / 2
"""Of a tile: the columns that stay in SRAM from when they are made. Their products hide the first tile from DRAM."""
QUERY_TILES = (128, 64, 32, 16, 8, 4, 2, 1)


class Limits(Protocol):
    """What plans are made for: the options of choose-tiling."""

    @property
    def sram_bytes(self) -> int: ...

    @property
    def array_rows(self) -> int: ...

    @property
    def context(self) -> int: ...


def largest_strip_bytes(array_rows: int) -> int:
    """What a strip takes at most: rows of 2 KiB, as many as a wide array computes at once, are not cut into k-tiles."""
    least, most = LARGEST_STRIP_BYTES
    return min(max(least, 2048 * array_rows), most)


def attention_sizes(module: ModuleOp, chunk: int, share_bytes: int) -> tuple[int, int]:
    """(kv_heads, key_tile) such that scores and streamed entries stay within the share, as far as possible."""
    kv_heads, key_tile = 1 << 20, KV_BLOCK
    for op in attentions(module):
        heads, groups = slm.shape_of(op.q)[1], slm.shape_of(op.k)[1]
        score_bytes = chunk * (heads // groups) * KV_BLOCK * 4
        sizes = [n for n in range(1, groups + 1) if groups % n == 0 and n * score_bytes <= share_bytes]
        kv_heads = min(kv_heads, max(sizes, default=1))
        key_tile = min(key_tile, largest_key_tile(op, kv_heads, share_bytes))
    return kv_heads, key_tile


def single_sizes(module: ModuleOp, plan: TilePlan, share_bytes: int) -> tuple[int, int]:
    """(kv_heads, key_tile) for one token: whole blocks of as many heads as stay within the share, keys and values with their two turns.
    An int4 cache lies in tiles of the plan's size. Blocks of an int8 cache are of one head: softmax and products of more take almost as
    long as the keys, and do not begin before the scales are there."""
    cached = [op for op in attentions(module) if isinstance(op, slmq.AttentionOp)]
    if any(op.int4 is not None for op in cached):
        return plan.kv_heads, plan.key_tile
    if any(op.k_scale is not None for op in cached):
        return 1, KV_BLOCK
    kv_heads = 1 << 20
    for op in attentions(module):
        _, groups, head_dim = slm.shape_of(op.k)
        block_bytes = 4 * KV_BLOCK * head_dim * element_bytes(slmq.element_of(op.k.type))
        sizes = [n for n in range(1, groups + 1) if groups % n == 0 and n * block_bytes <= share_bytes]
        kv_heads = min(kv_heads, max(sizes, default=1))
    return kv_heads, KV_BLOCK


def attentions(module: ModuleOp) -> list[slmq.AttentionOp | slmq.FullAttentionOp]:
    return [op for op in module.walk() if isinstance(op, slmq.AttentionOp | slmq.FullAttentionOp)]


def largest_key_tile(op: slmq.AttentionOp | slmq.FullAttentionOp, kv_heads: int, share_bytes: int) -> int:
    """Keys of some heads at once such that the two tiles that take turns stay within the share, as far as possible."""
    _, groups, head_dim = slm.shape_of(op.k)
    entry = min(kv_heads, groups) * head_dim * element_bytes(slmq.element_of(op.k.type))
    return next((tile for tile in KEY_TILES if 2 * tile * entry <= share_bytes), KEY_TILES[-1])


def candidates(module: ModuleOp, limits: Limits, chunks: tuple[int, ...]) -> Iterator[TilePlan]:
    """Plans, best first."""
    sram_bytes = limits.sram_bytes
    for chunk in chunks:
        for strip, attention in SHARES if len(chunks) > 1 and chunk > 1 else (*SHARES, *LAST_SHARES):
            kv_heads, key_tile = attention_sizes(module, chunk, sram_bytes // attention)
            strip_bytes = min(sram_bytes // strip, largest_strip_bytes(limits.array_rows))
            yield TilePlan(limits.context, chunk, strip_bytes, kv_heads, key_tile, limits.array_rows)
            if (strip, attention) == LAST_SHARES[-1]:
                yield TilePlan(limits.context, chunk, strip_bytes, kv_heads, key_tile, limits.array_rows, buffers=1)


def spilling_plan(
    module: ModuleOp, limits: Limits, chunk: int, shares: tuple[int, int, int], buffers: int = 2
) -> TilePlan:
    """The plan of a chunk with values in DRAM; `shares` as in SPILL_SHARES, `buffers` of a stream."""
    sram_bytes, (spilled, strip, queries) = limits.sram_bytes, shares
    heads = heads_at_once(module)
    key_bytes = sram_bytes // max(KEY_SHARE, 2 * queries)
    key_tile = min((largest_key_tile(op, heads, key_bytes) for op in attentions(module)), default=KV_BLOCK)
    return TilePlan(
        limits.context, chunk, min(sram_bytes // strip, largest_strip_bytes(limits.array_rows)), heads, key_tile,
        limits.array_rows, buffers, sram_bytes // spilled,
        min(max(sram_bytes // ROW_SHARE, ROW_TILES[0] * carried_bytes(module)), sram_bytes // LARGEST_ROW_SHARE),
        query_rows(module, sram_bytes // queries),
        image_chunk=image_rows(module, chunk, sram_bytes),
    )  # fmt: skip


def has_long_softmax(module: ModuleOp) -> bool:
    """Whether a softmax takes a good part of the time of its products: heads are short, or scores have a cap."""
    return any(slm.shape_of(op.k)[-1] <= SHORT_HEAD or op.softcap is not None for op in attentions(module))


def carried_bytes(module: ModuleOp) -> int:
    """A token's largest value that goes from layer to layer: norms have a tile of such rows."""
    values = [value for op in module.walk() if isinstance(op, slm.LayersOp) for value in op.values]
    rows = [value for value in values if slm.has_tokens(value)]
    return max((prod(row_shape(v)) * element_bytes(slmq.element_of(v.type)) for v in rows), default=0)


def streaming_plan(
    module: ModuleOp, limits: Limits, chunk: int, shares: tuple[int, int, int], buffers: int = 2
) -> TilePlan:
    """The same with the largest inputs of products in DRAM."""
    plan = spilling_plan(module, limits, chunk, shares, buffers)
    rows = stream_rows(limits, chunk, plan.buffers)
    return replace(plan, stream_bytes=limits.sram_bytes // STREAMED_INPUTS, stream_rows=rows)


def mixing_plans(module: ModuleOp, limits: Limits) -> Iterator[list[TilePlan]]:
    """Plans with more tokens in a step than are worked on at once, for models with mixtures whose rows choose; those that differ in the
    rows of an expert only together."""
    for tokens, chunk, shares in product(STEP_TOKENS, STEP_CHUNKS, STREAM_SHARES):
        if chunk < tokens <= limits.context:
            plan = replace(streaming_plan(module, limits, chunk, shares), tokens=tokens)
            fitting = [(rows, stream_rows(limits, rows, plan.buffers)) for rows in EXPERT_ROWS if rows <= tokens]
            yield [replace(plan, expert_rows=rows, expert_stream_rows=streamed) for rows, streamed in fitting]


def stream_rows(limits: Limits, rows: int, buffers: int) -> int:
    """Columns of the result of a strip whose input is streamed, for so many rows."""
    least, most = STREAMED_ROWS
    return min(max(limits.sram_bytes // STREAMED_PRODUCTS // (buffers * rows * PRODUCT_BYTES), least), most)


def has_choices(module: ModuleOp) -> bool:
    """Whether there are mixtures whose rows choose their experts."""
    return any(is_sparse(op) for op in module.walk())


def kept_first(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> list[int]:
    """The values in DRAM that can stay in SRAM, by number (compiler/analysis/spills.py), those first that move most. Those that
    are in use beside a large input of a product are left out, and those of attention, which has keys and scores beside them."""
    found: list[tuple[int, int]] = []
    for function in [op for op in module.walk() if isinstance(op, FuncOp) and op is not encoder_of(module)]:
        for number, (members, _) in enumerate(spill_classes(function, plan)):
            value = members[0]
            if (
                any(isinstance(op, slmq.AttentionOp) for op in touching(members))
                or late_reader(plan, value) is not None
            ):
                continue
            size_bytes = plan.chunk * prod(row_shape(value)) * element_bytes(slmq.element_of(value.type))
            accesses = sum(1 + len(list(member.uses)) for member in members)
            beside = inputs_beside(members, plan) + 2 * plan.strip_bytes
            if size_bytes + beside <= sram_bytes * KEPT_SHARE and not is_streamed(plan, value):
                found.append((size_bytes * accesses, number))
    return [number for _, number in sorted(found, reverse=True)[:MOST_KEPT]]


def touching(values: Sequence[SSAValue]) -> Iterator[Operation | Block]:
    """What makes and reads some values."""
    for value in values:
        yield value.owner
        yield from (use.operation for use in value.uses)


def inputs_beside(values: Sequence[SSAValue], plan: TilePlan) -> int:
    """The most that an input of a product takes while one of the values is in use, for a chunk."""
    widest = 0
    for value in values:
        block = value.owner if isinstance(value.owner, Block) else value.owner.parent
        if block is None:
            continue
        ops = list(block.ops)
        first = 0 if isinstance(value.owner, Block) else ops.index(value.owner)
        users = [ancestor_in(block, use.operation) for use in value.uses]
        last = max((ops.index(user) for user in users if user is not None), default=first)
        if isinstance(value.owner, Block):  # carried from layer to layer, in one place
            last = len(ops)
        groups = [op for op in ops[first : last + 1] if isinstance(op, slmq.StripsOp)]
        products = [op for group in groups for op in group.body.block.ops if isinstance(op, slmq.MatmulOp)]
        widest = max(widest, *(row_bytes_beside(op, plan) for op in products), 0)
    return plan.chunk * widest


def row_bytes_beside(product: slmq.MatmulOp, plan: TilePlan) -> int:
    """Bytes that a token has in SRAM for a product: its input, or two tiles of it and the sums."""
    group = product.parent_op()
    if isinstance(group, slmq.StripsOp) and wide_product(plan, group) is product:
        return TILE_TURNS * wide_shape_of(plan, product).tile + PRODUCT_BYTES * product.rows
    return prod(row_shape(product.x)) * element_bytes(slmq.element_of(product.x.type))


def wide_tiles(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> list[int]:
    """Columns of the tiles of inputs that are quantised beside their products, most first: two of them with all sums fit in SRAM, and
    weights for one strip, in two turns. Empty if there is no such product."""
    products = [op for op in module.walk() if isinstance(op, slmq.MatmulOp) and late_input(op) is not None]
    if not products:
        return []
    columns, sums = max(op.columns for op in products), max(op.rows for op in products) * PRODUCT_BYTES
    strip = padded(plan.array_rows, 16)
    beside = max(sum(m.columns for m in products_beside(op)) for op in products) * (plan.chunk + TILE_TURNS * strip)
    most = (sram_bytes * WIDE_SHARE - plan.chunk * sums - beside) / (TILE_TURNS * (plan.chunk + strip))
    sizes = [columns / (count + TAIL_PART) for count in range(1, MOST_WIDE_TILES + 1)]
    return [padded(round(size), strip) for size in sizes if size <= most][:2]


def longer_runs(module: ModuleOp, plan: TilePlan) -> int:
    """Bytes of rows worked on at once such that regions of rows take RUN_ROWS of their widest values in DRAM, or those of the plan."""
    most = plan.row_bytes
    for function in [op for op in module.walk() if isinstance(op, FuncOp)]:
        spilled = spilled_values(function, plan)
        for region in [op for op in function.walk() if isinstance(op, slmq.RowsOp) and not is_late(plan, op)]:
            if any(value in spilled for value in (*region.operands_read, *region.outs)):
                most = max(most, min(RUN_ROWS, plan.chunk) * widest_bytes(region))
    return most


def staying_bytes(module: ModuleOp, plan: TilePlan) -> int:
    """Of SRAM: what the sums of products whose results can stay there take, with the regions of rows behind them. 0: there are none."""
    most = 0
    for group in [op for op in module.walk() if isinstance(op, slmq.StripsOp)]:
        end = group.body.block.last_op
        pairs = zip(end.operands, group.outs, strict=True) if end is not None else ()
        for out in [out for value, out in pairs if can_stay_in_sums(plan, value, out)]:
            regions = [use.operation for use in out.uses if isinstance(use.operation, slmq.RowsOp)]
            sums = plan.chunk * prod(row_shape(out)) * PRODUCT_BYTES
            most = max(most, *(sums + region_bytes(region, plan) for region in regions))
    return most


def region_bytes(region: slmq.RowsOp, plan: TilePlan) -> int:
    """Of SRAM: rows that a region loads and makes, in two turns, and one more of the widest."""
    widest = widest_bytes(region)
    values = len(region.operands_read) + len(region.outs)
    return plan.row_tile(widest) * widest * (2 * values + 1)


def products_beside(product: slmq.MatmulOp) -> list[slmq.MatmulOp]:
    """The others of its group."""
    group = product.parent_op()
    assert isinstance(group, slmq.StripsOp)
    return [op for op in group.body.block.ops if isinstance(op, slmq.MatmulOp) and op is not product]


def input_bytes(module: ModuleOp) -> int:
    """A token's largest input of a product: for all tokens of a chunk it is in SRAM, with a strip's products."""
    inputs = [op.x for op in module.walk() if isinstance(op, slmq.MatmulOp)]
    return max((prod(row_shape(x)) * element_bytes(slmq.element_of(x.type)) for x in inputs), default=0)


def image_rows(module: ModuleOp, chunk: int, sram_bytes: int) -> int:
    """Rows of an image at once, none more than tokens: two of the widest values of a region are in SRAM. 0 without an encoder."""
    encoder = encoder_of(module)
    values = [value for op in encoder.walk() for value in op.results] if encoder is not None else []
    rows = [value for value in values if isinstance(value.type, TensorType)]
    row_bytes = [prod(slm.shape_of(value)[1:]) * element_bytes(slmq.element_of(value.type)) for value in rows]
    if not row_bytes:
        return 0
    return max((c for c in CHUNKS if c <= chunk and 2 * c * max(row_bytes) <= sram_bytes), default=1)


def heads_at_once(module: ModuleOp) -> int:
    """Key-value heads attended at once in tiles of queries: two where a head has one query, for two parts that overlap."""
    ops = [op for op in module.walk() if isinstance(op, slmq.AttentionOp)]
    return 2 if any(slm.shape_of(op.q)[1] == slm.shape_of(op.k)[1] > 1 for op in ops) else 1


def query_rows(module: ModuleOp, share_bytes: int) -> int:
    """Tokens attended at once such that scores and probabilities of the heads attended at once stay within the share."""
    most, at_once = QUERY_TILES[0], heads_at_once(module)
    for op in module.walk():
        if isinstance(op, slmq.AttentionOp):
            queries = slm.shape_of(op.q)[1] // slm.shape_of(op.k)[1] * at_once
            row_bytes = queries * KV_BLOCK * (4 + element_bytes(slmq.element_of(op.q.type)))
            most = min(most, max((n for n in QUERY_TILES if n * row_bytes <= share_bytes), default=1))
    return most
