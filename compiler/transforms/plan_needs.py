"""What a plan needs of SRAM and SMEM, found by lowering it and placing its buffers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, i64
from xdsl.dialects.func import FuncOp

from compiler.analysis.buffer_lifetimes import Lifetime, buffer_lifetimes
from compiler.analysis.sram_solver import most_at_once, solve
from compiler.dialects import tile
from compiler.errors import CompileError
from compiler.lowering.attention_blocks import SCORE_BUFFERS
from compiler.lowering.plan import TilePlan
from compiler.transforms.convert_slmq_to_tile import lower_program
from compiler.transforms.cse import CsePass
from compiler.transforms.double_buffer import DoubleBufferPass
from compiler.walking import ops_of
from isa.spec import SMEM_BYTES

# Buffers of strips: as large for small chunks, or streamed, or smaller for smaller strips.
STRIP_BUFFERS = ("weights", "strip_header", "products", "strip", "loaded_columns", "group_offsets", "rotary_temp")
SMEM_BUFFER_BYTES = SMEM_BYTES // 2  # the rest is for the mailbox, the layer table, descriptors and spilled scalars


@dataclass(frozen=True)
class Need:
    """SRAM and SMEM that a plan takes. At the busiest moment `row_bytes` of the SRAM are rows of
    the chunk, `score_bytes` with the scores of attention.

    Rows and scores shrink at most in proportion to the chunk, and scores grow with the heads attended at once: they tell which
    other plans cannot fit either.
    """

    plan: TilePlan
    size_bytes: int
    smem_bytes: int
    row_bytes: int | None = None
    score_bytes: int | None = None
    """None: not asked for."""

    def fits(self, sram_bytes: int) -> bool:
        return self.size_bytes <= sram_bytes and self.smem_bytes <= SMEM_BUFFER_BYTES

    def to_attribute(self, **more: int) -> DictionaryAttr:
        """The plan with what it needs, and more numbers."""
        needs = {"needs_sram": self.size_bytes, "needs_smem": self.smem_bytes, **more}
        return DictionaryAttr({**self.plan.to_attribute().data, **{k: IntegerAttr(v, i64) for k, v in needs.items()}})

    def excludes(self, plan: TilePlan, sram_bytes: int) -> bool:
        """Whether a plan of a chunk that is not larger is sure not to fit. Raises ValueError if it was not asked what are rows."""
        if self.row_bytes is None or self.score_bytes is None:
            raise ValueError("what a plan needs for rows and scores is not known")
        known = self.score_bytes if plan.kv_heads >= self.plan.kv_heads else self.row_bytes
        return known * plan.chunk > sram_bytes * self.plan.chunk


def lasting(function: FuncOp) -> list[Lifetime]:
    """Of buffers that are not streamed; double-buffer forgets which ones are."""
    pairs = zip(*buffer_lifetimes(function, "sram"), strict=True)
    return [life for alloc, life in pairs if alloc.stream is None and life.label not in STRIP_BUFFERS]


def busiest_bytes(lifetimes: Iterable[Lifetime]) -> int:
    """The most that buffers take at one time."""
    return most_at_once((*span, life.size_bytes) for life in lifetimes for span in life.spans)


def smem_bytes_of(function: FuncOp) -> int:
    """Buffers of SMEM have places of their own."""
    return sum(op.size_bytes.value.data for op in ops_of(tile.AllocOp, function) if op.space.data == "smem")


def need_of(
    ctx: Context, module: ModuleOp, plan: TilePlan, room_bytes: int, *, clean: bool = False, rows: bool = False
) -> Need:
    """What a plan needs, found by lowering the functions. `clean`: as the passes behind leave it, which merge views and with them change
    how long buffers are in use; refinements fill the SRAM, and would else not fit in the end. `rows`: what of it are rows and scores is
    wanted, too. `room_bytes`: of the SRAM."""
    sources = ops_of(FuncOp, module)
    if not sources:
        raise CompileError("the module has no function to choose a plan for")
    functions = [lower_program(function, plan) for function in sources]
    trial = ModuleOp(functions)
    row_bytes = score_bytes = None
    if rows:
        buffers = [lasting(function) for function in functions]
        row_bytes = max(busiest_bytes(life for life in each if life.label not in SCORE_BUFFERS) for each in buffers)
        score_bytes = max(map(busiest_bytes, buffers))
    DoubleBufferPass().apply(ctx, trial)
    if clean:
        CsePass().apply(ctx, trial)
    size_bytes = max(solve(buffer_lifetimes(function, "sram")[1], room_bytes).size_bytes for function in functions)
    smem_bytes = max(map(smem_bytes_of, functions))
    return Need(plan, size_bytes, smem_bytes, row_bytes, score_bytes)
