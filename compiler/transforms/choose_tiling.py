"""choose-tiling: picks the sizes that fit the machine's SRAM: tokens per chunk, weight strips, key-value heads and key tiles.

It tries plans from the largest chunk down: each is lowered and its buffers are placed, so that what is chosen fits. Every plan gives
the same bits. The plan is recorded on the module.
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
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import PLAN_ATTRIBUTE, TilePlan
from compiler.transforms.convert_slmq_to_tile import ConvertSlmqToTilePass
from compiler.transforms.double_buffer import DoubleBufferPass
from isa.spec import KV_BLOCK

CHUNKS = (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
KEY_TILES = (256, 128, 64, 32)
# SRAM shares tried for each chunk: (weights of one strip, attention buffers of one kind), as divisors of the SRAM size.
SHARES = ((16, 4), (32, 8), (64, 16))
LAST_SHARES = ((128, 32), (256, 64), (1024, 1024))
LARGEST_STRIP_BYTES = 256 << 10


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


def needed_bytes(ctx: Context, module: ModuleOp, plan: TilePlan, sram_bytes: int) -> int:
    """SRAM that a plan takes, found by lowering a copy; of the functions up to the first that does not fit."""
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    if not functions:
        raise CompileError("the module has no function to choose a plan for")
    needed = 0
    for function in functions:
        trial = ModuleOp([function.clone()], {PLAN_ATTRIBUTE: plan.to_attribute()})
        ConvertSlmqToTilePass().apply(ctx, trial)
        DoubleBufferPass().apply(ctx, trial)
        lowered = next(op for op in trial.walk() if isinstance(op, FuncOp))
        needed = max(needed, solve(buffer_lifetimes(lowered, "sram")[1]).size_bytes)
        if needed > sram_bytes:
            break
    return needed


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
        least: int | None = None
        for plan in candidates(op, self, chunks):
            needed = needed_bytes(ctx, op, plan, self.sram_bytes)
            least = needed if least is None else min(least, needed)
            if needed <= self.sram_bytes:
                op.attributes[PLAN_ATTRIBUTE] = plan.to_attribute()
                return
        raise CompileError(
            f"the smallest plan needs {least} bytes of SRAM, the machine has {self.sram_bytes}",
            hint="leave the chunk to the compiler"
            if self.chunk
            else "use a machine with more SRAM, or a smaller model",
        )
