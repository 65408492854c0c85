"""choose-tiling: picks the sizes that fit the machine's SRAM (and SMEM): tokens per chunk, weight strips, key-value heads and key tiles.

It tries plans from the largest chunk down: each is lowered and its buffers are placed, so that what is chosen fits. Chunks whose rows
or scores alone are too large are left out. If weights would be streamed for fewer tokens than the matrix unit needs to keep busy, it
also tries plans whose large values lie in DRAM (docs/tiling.md), and takes the one that costs less (compiler/analysis/plan_costs.py).
Every plan gives the same bits. The plan is recorded on the module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, TensorType, i64
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from compiler.analysis.buffer_lifetimes import buffer_lifetimes
from compiler.analysis.plan_costs import ChunkCost, chunk_cost, token_bytes
from compiler.analysis.sram_solver import solve
from compiler.dialects import slm, slmq
from compiler.dialects.slm import row_shape
from compiler.errors import CompileError
from compiler.images import encoder_of
from compiler.lowering.attention_blocks import SCORE_BUFFERS
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import KEY_TILES, PLAN_ATTRIBUTE, TilePlan
from compiler.transforms.convert_slmq_to_tile import ConvertSlmqToTilePass
from compiler.transforms.double_buffer import DoubleBufferPass
from isa.spec import KV_BLOCK, SMEM_BYTES

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
ROW_SHARE = 8  # of the SRAM, for the widest rows of a tile
QUERY_TILES = (128, 64, 32, 16, 8, 4, 2, 1)
WORTHWHILE = 0.95
TRIED_ATTRIBUTE = "tile.tried"
"""Of a module: the plans that were lowered, in order, each with the SRAM and SMEM it needs. For `slmc compile --explain`."""
# Buffers of strips: as large for small chunks, or streamed, or smaller for smaller strips.
STRIP_BUFFERS = ("weights", "strip_header", "products", "strip", "loaded_columns", "group_offsets", "rotary_temp")
SMEM_BUFFER_BYTES = SMEM_BYTES // 2  # the rest is for the mailbox, the layer table, descriptors and spilled scalars


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


def attentions(module: ModuleOp) -> list[slmq.AttentionOp | slmq.FullAttentionOp]:
    return [op for op in module.walk() if isinstance(op, slmq.AttentionOp | slmq.FullAttentionOp)]


def largest_key_tile(op: slmq.AttentionOp | slmq.FullAttentionOp, kv_heads: int, share_bytes: int) -> int:
    """Keys of some heads at once such that the two tiles that take turns stay within the share, as far as possible."""
    _, groups, head_dim = slm.shape_of(op.k)
    entry = min(kv_heads, groups) * head_dim * element_bytes(slmq.element_of(op.k.type))
    return next((tile for tile in KEY_TILES if 2 * tile * entry <= share_bytes), KEY_TILES[-1])


def candidates(module: ModuleOp, options: ChooseTilingPass, chunks: tuple[int, ...]) -> Iterator[TilePlan]:
    """Plans, best first."""
    sram_bytes = options.sram_bytes
    for chunk in chunks:
        for strip, attention in SHARES if len(chunks) > 1 and chunk > 1 else (*SHARES, *LAST_SHARES):
            kv_heads, key_tile = attention_sizes(module, chunk, sram_bytes // attention)
            strip_bytes = min(sram_bytes // strip, largest_strip_bytes(options.array_rows))
            yield TilePlan(options.context, chunk, strip_bytes, kv_heads, key_tile, options.array_rows)
            if (strip, attention) == LAST_SHARES[-1]:
                yield TilePlan(options.context, chunk, strip_bytes, kv_heads, key_tile, options.array_rows, buffers=1)


@dataclass(frozen=True)
class Need:
    """SRAM and SMEM that a plan takes. At the busiest moment `row_bytes` of the SRAM are rows of
    the chunk, `score_bytes` with the scores of attention.

    Rows and scores shrink at most in proportion to the chunk, and scores grow with the heads attended at once: they tell which
    other plans cannot fit either.
    """

    plan: TilePlan
    size_bytes: int
    row_bytes: int
    score_bytes: int
    smem_bytes: int

    def to_attribute(self) -> DictionaryAttr:
        """The plan with what it needs."""
        needs = {"needs_sram": self.size_bytes, "needs_smem": self.smem_bytes}
        return DictionaryAttr({**self.plan.to_attribute().data, **{k: IntegerAttr(v, i64) for k, v in needs.items()}})

    def excludes(self, plan: TilePlan, sram_bytes: int) -> bool:
        """Whether a plan of a chunk that is not larger is sure not to fit."""
        known = self.score_bytes if plan.kv_heads >= self.plan.kv_heads else self.row_bytes
        return known * plan.chunk > sram_bytes * self.plan.chunk


def busiest_bytes(function: FuncOp, ignored: tuple[str, ...] = ()) -> int:
    """The most that buffers which are not streamed take at one time; double-buffer forgets which ones are streamed."""
    rows = [
        life
        for alloc, life in zip(*buffer_lifetimes(function, "sram"), strict=True)
        if alloc.stream is None and life.label not in (*ignored, *STRIP_BUFFERS)
    ]
    starts = {life.first for life in rows}
    return max((sum(life.size_bytes for life in rows if life.first <= at <= life.last) for at in starts), default=0)


def need_of(ctx: Context, module: ModuleOp, plan: TilePlan) -> Need:
    """What a plan needs, found by lowering a copy."""
    if not any(isinstance(op, FuncOp) for op in module.walk()):
        raise CompileError("the module has no function to choose a plan for")
    trial = module.clone()
    trial.attributes[PLAN_ATTRIBUTE] = plan.to_attribute()
    ConvertSlmqToTilePass().apply(ctx, trial)
    functions = [op for op in trial.walk() if isinstance(op, FuncOp)]
    row_bytes = max(busiest_bytes(function, SCORE_BUFFERS) for function in functions)
    score_bytes = max(busiest_bytes(function) for function in functions)
    DoubleBufferPass().apply(ctx, trial)
    size_bytes = max(solve(buffer_lifetimes(function, "sram")[1]).size_bytes for function in functions)
    smem_bytes = max(sum(life.size_bytes for life in buffer_lifetimes(function, "smem")[1]) for function in functions)
    return Need(plan, size_bytes, row_bytes, score_bytes, smem_bytes)


def spilling_plan(module: ModuleOp, options: ChooseTilingPass, chunk: int, shares: tuple[int, int, int]) -> TilePlan:
    """The plan of a chunk with values in DRAM; `shares` as in SPILL_SHARES."""
    sram_bytes, (spilled, strip, queries) = options.sram_bytes, shares
    heads = heads_at_once(module)
    key_tile = min((largest_key_tile(op, heads, sram_bytes // 8) for op in attentions(module)), default=KV_BLOCK)
    return TilePlan(
        options.context, chunk, min(sram_bytes // strip, largest_strip_bytes(options.array_rows)), heads, key_tile,
        options.array_rows, 2, sram_bytes // spilled,
        sram_bytes // ROW_SHARE,
        query_rows(module, sram_bytes // queries),
        image_chunk=image_rows(module, chunk, sram_bytes),
    )  # fmt: skip


def streaming_plan(module: ModuleOp, options: ChooseTilingPass, chunk: int, shares: tuple[int, int, int]) -> TilePlan:
    """The same with the largest inputs of products in DRAM."""
    plan = spilling_plan(module, options, chunk, shares)
    least, most = STREAMED_ROWS
    rows = options.sram_bytes // STREAMED_PRODUCTS // (plan.buffers * chunk * PRODUCT_BYTES)
    return replace(plan, stream_bytes=options.sram_bytes // STREAMED_INPUTS, stream_rows=min(max(rows, least), most))


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


@dataclass(frozen=True)
class ChooseTilingPass(ModulePass):
    """See the module docstring. Options: sram_bytes and array_rows of the machine, context, chunk (0: the compiler chooses),
    balance: int8 multiply-accumulates of the matrix unit in the time in which DRAM moves a byte.
    """

    name = "choose-tiling"
    sram_bytes: int = 1 << 21
    array_rows: int = 64
    context: int = 512
    chunk: int = 0
    balance: int = 86

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        chunks = (self.chunk,) if self.chunk else tuple(c for c in CHUNKS if c <= max(self.context, 1))
        tried: list[Need] = []
        spilling: list[Need] = []
        plan = self.first_fitting(ctx, op, candidates(op, self, chunks), tried)
        cost = chunk_cost(op)
        if plan is None or self.is_starved(cost, plan):
            larger = tuple(c for c in chunks if plan is None or c > plan.chunk)
            other = self.spilling(ctx, op, larger, spilling)
            larger = tuple(c for c in larger if other is None or c > other.chunk)
            plan = self.cheaper(op, plan, self.streaming(ctx, op, larger, other, spilling))
        if plan is None:
            raise self.nothing_fits(min(n.size_bytes for n in tried), min(n.smem_bytes for n in tried))
        op.attributes[PLAN_ATTRIBUTE] = plan.to_attribute()
        op.attributes[TRIED_ATTRIBUTE] = ArrayAttr([need.to_attribute() for need in (*tried, *spilling)])

    def first_fitting(
        self, ctx: Context, module: ModuleOp, plans: Iterator[TilePlan], tried: list[Need]
    ) -> TilePlan | None:
        """The first plan that fits, if one does; `tried` gets the needs of those that were lowered."""
        for plan in plans:
            if plan.chunk > 1 and any(need.excludes(plan, self.sram_bytes) for need in tried):
                continue
            tried.append(need_of(ctx, module, plan))
            if self.fits(tried[-1]):
                return plan
        return None

    def fits(self, need: Need) -> bool:
        return need.size_bytes <= self.sram_bytes and need.smem_bytes <= SMEM_BUFFER_BYTES

    def spilling(self, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], tried: list[Need]) -> TilePlan | None:
        """The largest chunk that fits with values in DRAM, with as few there as fit; `tried` as of first_fitting."""

        def plans(chunk: int, every_share: Sequence[tuple[int, int, int]]) -> list[TilePlan]:
            return [spilling_plan(module, self, chunk, shares) for shares in every_share]

        possible = [chunk for chunk in chunks if chunk * input_bytes(module) < self.sram_bytes]
        least: TilePlan | None = None
        first, end = 0, len(possible)  # the chunk is among these, or none fits
        while first < end:
            middle = (first + end) // 2
            plan = self.any_fitting(ctx, module, plans(possible[middle], SPILL_SHARES[-1:]), tried)
            first, end, least = (first, middle, plan) if plan is not None else (middle + 1, end, least)
        if least is None:
            return None
        return self.any_fitting(ctx, module, plans(least.chunk, SPILL_SHARES[:-1]), tried) or least

    def streaming(
        self, ctx: Context, module: ModuleOp, chunks: tuple[int, ...], plan: TilePlan | None, tried: list[Need]
    ) -> TilePlan | None:
        """The cheapest chunk with the largest inputs of products in DRAM, if one is cheaper than `plan`; `tried` as of first_fitting."""
        least = {chunk: streaming_plan(module, self, chunk, STREAM_SHARES[-1]) for chunk in chunks}
        costs = {chunk: self.cost(module, other) for chunk, other in least.items()}
        for chunk in sorted(chunks, key=lambda chunk: costs[chunk]):
            if plan is not None and costs[chunk] >= self.cost(module, plan):
                break
            if self.any_fitting(ctx, module, [least[chunk]], tried) is not None:
                others = [streaming_plan(module, self, chunk, shares) for shares in STREAM_SHARES[:-1]]
                return self.any_fitting(ctx, module, others, tried) or least[chunk]
        return plan

    def any_fitting(
        self, ctx: Context, module: ModuleOp, plans: Sequence[TilePlan], tried: list[Need]
    ) -> TilePlan | None:
        """The first of some plans that fits; `tried` as of first_fitting."""
        for plan in plans:
            tried.append(need_of(ctx, module, plan))
            if self.fits(tried[-1]):
                return plan
        return None

    def is_starved(self, cost: ChunkCost, plan: TilePlan) -> bool:
        """Whether the weights of a chunk take longer to come than to be multiplied."""
        return cost.weight_bytes * self.balance > plan.chunk * cost.work

    def cheaper(self, module: ModuleOp, plan: TilePlan | None, other: TilePlan | None) -> TilePlan | None:
        """The plan with values in DRAM, if there is none without or if it is faster by more than what such plans cost a single token."""
        if plan is None or other is None:
            return other or plan
        return other if self.cost(module, other) < WORTHWHILE * self.cost(module, plan) else plan

    def cost(self, module: ModuleOp, plan: TilePlan) -> float:
        return token_bytes(module, plan, self.balance)

    def nothing_fits(self, sram: int, smem: int) -> CompileError:
        """The error for the smallest needs of the plans tried."""
        if sram > self.sram_bytes:
            what = f"{sram} bytes of SRAM, the machine has {self.sram_bytes}"
            hint = "use a machine with more SRAM, or a smaller model"
        else:
            what = f"{smem} bytes of SMEM for the lists of top_k, there are {SMEM_BUFFER_BYTES}"
            hint = "choose fewer, or from fewer rows for each token"
        return CompileError(
            f"the smallest plan needs {what}", hint="leave the chunk to the compiler" if self.chunk else hint
        )
