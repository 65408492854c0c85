"""choose-tiling: picks the sizes that fit the machine's SRAM (and SMEM): tokens per chunk, weight strips, key-value heads and key tiles.

It tries plans from the largest chunk down: each is lowered and its buffers are placed, so that what is chosen fits. Chunks whose rows
or scores alone are too large are left out. Every plan gives the same bits. The plan is recorded on the module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from compiler.analysis.buffer_lifetimes import buffer_lifetimes
from compiler.analysis.sram_solver import solve
from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.lowering.attention_blocks import SCORE_BUFFERS
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import PLAN_ATTRIBUTE, TilePlan
from compiler.transforms.convert_slmq_to_tile import ConvertSlmqToTilePass
from compiler.transforms.double_buffer import DoubleBufferPass
from isa.spec import KV_BLOCK, SMEM_BYTES

CHUNKS = (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
KEY_TILES = (256, 128, 64, 32)
# SRAM shares tried for each chunk: (weights of one strip, attention buffers of one kind), as divisors of the SRAM size.
SHARES = ((16, 4), (32, 8), (64, 16))
LAST_SHARES = ((128, 32), (256, 64), (1024, 1024))
LARGEST_STRIP_BYTES = 256 << 10
SMEM_BUFFER_BYTES = SMEM_BYTES // 2  # the rest is for the mailbox, the layer table, descriptors and spilled scalars


def attention_sizes(module: ModuleOp, chunk: int, share_bytes: int) -> tuple[int, int]:
    """(kv_heads, key_tile) such that scores and streamed entries stay within the share, as far as possible."""
    kv_heads, key_tile = 1 << 20, KV_BLOCK
    for op in module.walk():
        if isinstance(op, slmq.AttentionOp | slmq.FullAttentionOp):
            _, heads, head_dim = slm.shape_of(op.q)
            groups = slm.shape_of(op.k)[1]
            score_bytes = chunk * (heads // groups) * KV_BLOCK * 4
            sizes = [n for n in range(1, groups + 1) if groups % n == 0 and n * score_bytes <= share_bytes]
            kv_heads = min(kv_heads, max(sizes, default=1))
            entry = min(kv_heads, groups) * head_dim * element_bytes(slmq.element_of(op.k.type))
            key_tile = min(key_tile, next((t for t in KEY_TILES if 2 * t * entry <= share_bytes), KEY_TILES[-1]))
    return kv_heads, key_tile


def candidates(module: ModuleOp, options: ChooseTilingPass, chunks: tuple[int, ...]) -> Iterator[TilePlan]:
    """Plans, best first."""
    sram_bytes = options.sram_bytes
    for chunk in chunks:
        for strip, attention in SHARES if len(chunks) > 1 and chunk > 1 else (*SHARES, *LAST_SHARES):
            kv_heads, key_tile = attention_sizes(module, chunk, sram_bytes // attention)
            strip_bytes = min(sram_bytes // strip, LARGEST_STRIP_BYTES)
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

    def excludes(self, plan: TilePlan, sram_bytes: int) -> bool:
        """Whether a plan of a chunk that is not larger is sure not to fit."""
        known = self.score_bytes if plan.kv_heads >= self.plan.kv_heads else self.row_bytes
        return known * plan.chunk > sram_bytes * self.plan.chunk


def busiest_bytes(function: FuncOp, ignored: tuple[str, ...] = ()) -> int:
    """The most that buffers which are not streamed take at one time; double-buffer forgets which ones are streamed."""
    rows = [
        life
        for alloc, life in zip(*buffer_lifetimes(function, "sram"), strict=True)
        if alloc.stream is None and life.label not in ignored
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


@dataclass(frozen=True)
class ChooseTilingPass(ModulePass):
    """See the module docstring. Options: sram_bytes and array_rows of the machine, context, chunk (0: the largest that fits)."""

    name = "choose-tiling"
    sram_bytes: int = 1 << 21
    array_rows: int = 64
    context: int = 512
    chunk: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        chunks = (self.chunk,) if self.chunk else tuple(c for c in CHUNKS if c <= max(self.context, 1))
        tried: list[Need] = []
        for plan in candidates(op, self, chunks):
            if plan.chunk > 1 and any(need.excludes(plan, self.sram_bytes) for need in tried):
                continue
            tried.append(need_of(ctx, op, plan))
            if tried[-1].size_bytes <= self.sram_bytes and tried[-1].smem_bytes <= SMEM_BUFFER_BYTES:
                op.attributes[PLAN_ATTRIBUTE] = plan.to_attribute()
                return
        raise self.nothing_fits(min(n.size_bytes for n in tried), min(n.smem_bytes for n in tried))

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
