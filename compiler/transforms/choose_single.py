"""choose-single: picks the sizes for chunks of one token, those that are decoded, which get instructions of their own.

All values of one token are in SRAM whatever the plan of choose-tiling is, and what is left of it holds more keys at once, and weights
that are loaded before their time. Strips are those of that plan: weights lie in DRAM once. What fits best is recorded on the module; if
nothing fits, chunks of one token are worked on like all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from compiler.analysis.tile_plans import single_sizes
from compiler.lowering.plan import SINGLE_ATTRIBUTE, TilePlan
from compiler.transforms.choose_tiling import SMEM_BUFFER_BYTES, need_of

ENTRY_SHARES = (4, 8, 16, 64)
"""Parts of the SRAM, as divisors, for keys and values with all their turns."""


def single_plans(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> Iterator[TilePlan]:
    """Plans, best first."""
    ahead = int(plan.buffers == 2)
    sizes = dict.fromkeys(single_sizes(module, plan, sram_bytes // share) for share in ENTRY_SHARES)
    for kv_heads, key_tile in (*sizes, (plan.kv_heads, plan.key_tile)):
        yield plan.for_one_token(kv_heads, key_tile, ahead)
    if ahead:
        yield plan.for_one_token(plan.kv_heads, plan.key_tile, 0)


@dataclass(frozen=True)
class ChooseSinglePass(ModulePass):
    """See the module docstring. Options: sram_bytes of the machine."""

    name = "choose-single"
    sram_bytes: int = 1 << 21

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for plan in single_plans(op, TilePlan.of(op), self.sram_bytes):
            need = need_of(ctx, op, plan)
            if need.size_bytes <= self.sram_bytes and need.smem_bytes <= SMEM_BUFFER_BYTES:
                op.attributes[SINGLE_ATTRIBUTE] = plan.to_attribute()
                return
