"""choose-single: picks the sizes for chunks of one token, those that are decoded, which get instructions of their own.

All values of one token are in SRAM whatever the plan of choose-tiling is, and what is left of it holds more keys at once, and weights
that are loaded before their time. Strips are those of that plan: weights lie in DRAM once. The plan under which DRAM waits least
(compiler/analysis/token_waits.py) of those that fit is recorded on the module; if nothing fits, chunks of one token are worked on like
all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr, ModuleOp
from xdsl.passes import ModulePass

from compiler.analysis.plan_costs import token_weights
from compiler.analysis.tile_plans import single_sizes
from compiler.analysis.token_waits import Rates, TokenWaits
from compiler.images import without_encoder
from compiler.lowering.plan import SINGLE_ATTRIBUTE, TilePlan
from compiler.transforms.plan_needs import Need, need_of

ENTRY_SHARES = (4, 8, 16, 64)
"""Parts of the SRAM, as divisors, for keys and values with all their turns."""
STRIP_SHARES = (8, 12, 16, 24, 32, 64, 128, 256, 512, 1024)
"""The same for the weights of one strip: a group has two, and those of the next group are loaded meanwhile."""
SPAN_SHARES = (32, 64, 256, 1024)
"""The same for a row of products that is finished at once, in 4 bytes each."""
TURNS = ((2, 1), (2, 0), (1, 0))
"""Buffers of a stream, and whether first weights are loaded ahead."""
LONGEST_RUN = (1 << 20) - 1
"""Bytes that one descriptor can name: a strip is one run of them."""
TRIED_SINGLE_ATTRIBUTE = "tile.tried_single"
"""Of a module: the plans that were lowered, in order, each with what it needs and the cycles that DRAM waits. For --explain."""
END_SHARE = 512
"""What a token waits for at its end is its last strip: at most this part of its weights, as a divisor."""


def strip_sizes(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> list[tuple[int, int]]:
    """(bytes of a strip, bytes of a span), largest first: the fewest instructions."""
    most = max(token_weights(module) // END_SHARE, plan.strip_bytes // 2)
    sizes = dict.fromkeys(min(sram_bytes // share, most, LONGEST_RUN) for share in STRIP_SHARES)
    return [(size, sram_bytes // span) for span in SPAN_SHARES for size in sizes]


def entry_sizes(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> list[tuple[int, int]]:
    """(key-value heads, keys) at once; those of the other plan where they are fewer."""
    sizes = dict.fromkeys(single_sizes(module, plan, sram_bytes // share) for share in ENTRY_SHARES)
    if plan.kv_heads * plan.key_tile < min(map(prod, sizes)):
        sizes[(plan.kv_heads, plan.key_tile)] = None
    return list(sizes)


def single_plans(module: ModuleOp, plan: TilePlan, sram_bytes: int, waits: TokenWaits) -> list[TilePlan]:
    """Plans, best first."""
    every = product(TURNS, strip_sizes(module, plan, sram_bytes), entry_sizes(module, plan, sram_bytes))
    plans = [plan.for_one_token(*heads, ahead, *sizes, buffers) for (buffers, ahead), sizes, heads in every]
    return sorted(plans, key=waits.under)


def takes_no_less(plan: TilePlan, other: TilePlan) -> bool:
    """Whether a plan has no buffer that is smaller than that of another one."""
    return all(mine >= theirs for mine, theirs in zip(room_of(plan), room_of(other), strict=True))


def room_of(plan: TilePlan) -> tuple[int, ...]:
    """What grows with the SRAM that a plan takes."""
    return plan.token_strip_bytes, plan.span_bytes, plan.kv_heads * plan.key_tile, plan.ahead, plan.buffers


@dataclass(frozen=True)
class ChooseSinglePass(ModulePass):
    """See the module docstring. Options: sram_bytes of the machine, the bytes that its DRAM moves in 1,000 cycles, and those that the
    matrix unit's port for weights moves in one."""

    name = "choose-single"
    sram_bytes: int = 1 << 21
    dram_bytes: int = 51200
    port_bytes: int = 128

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        tokens = without_encoder(op)  # an encoder works on many rows, by the other plan
        waits = TokenWaits(op, Rates(self.dram_bytes / 1000, self.port_bytes))
        tried: list[Need] = []
        for plan in single_plans(op, TilePlan.of(op), self.sram_bytes, waits):
            if any(takes_no_less(plan, need.plan) for need in tried):
                continue
            tried.append(need_of(ctx, tokens, plan, self.sram_bytes))
            if tried[-1].fits(self.sram_bytes):
                op.attributes[SINGLE_ATTRIBUTE] = plan.to_attribute()
                break
        op.attributes[TRIED_SINGLE_ATTRIBUTE] = ArrayAttr(
            [need.to_attribute(waits=round(waits.under(need.plan))) for need in tried]
        )
