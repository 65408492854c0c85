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

from compiler.analysis.plan_costs import token_weights
from compiler.analysis.tile_plans import single_sizes
from compiler.images import without_encoder
from compiler.lowering.plan import SINGLE_ATTRIBUTE, TilePlan
from compiler.transforms.plan_needs import need_of

ENTRY_SHARES = (4, 8, 16, 64)
"""Parts of the SRAM, as divisors, for keys and values with all their turns."""
STRIP_SHARES = (8, 12, 16, 24, 32, 64, 128, 256, 512, 1024)
"""The same for the weights of one strip: a group has two, and those of the next group are loaded meanwhile."""
SPAN_SHARES = (32, 64, 256, 1024)
"""The same for a row of products that is finished at once, in 4 bytes each."""
LONGEST_RUN = (1 << 20) - 1
"""Bytes that one descriptor can name: a strip is one run of them."""
END_SHARE = 512
"""What a token waits for at its end is its last strip: at most this part of its weights, as a divisor."""


def strip_sizes(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> Iterator[tuple[int, int]]:
    """(bytes of a strip, bytes of a span), best first: the fewest instructions."""
    most = max(token_weights(module) // END_SHARE, plan.strip_bytes // 2)
    sizes = [min(sram_bytes // share, most, LONGEST_RUN) for share in STRIP_SHARES]
    for size in dict.fromkeys(sizes):
        yield size, sram_bytes // SPAN_SHARES[0]
    for span in SPAN_SHARES[1:]:
        for size in sizes[-3:]:
            yield size, sram_bytes // span


def single_plans(module: ModuleOp, plan: TilePlan, sram_bytes: int) -> Iterator[TilePlan]:
    """Plans, best first."""
    ahead = int(plan.buffers == 2)
    entries = dict.fromkeys(single_sizes(module, plan, sram_bytes // share) for share in ENTRY_SHARES)
    for is_ahead in dict.fromkeys((ahead, 0)):
        for strip, span in strip_sizes(module, plan, sram_bytes):
            for kv_heads, key_tile in (*entries, (plan.kv_heads, plan.key_tile)):
                yield plan.for_one_token(kv_heads, key_tile, is_ahead, strip, span)


@dataclass(frozen=True)
class ChooseSinglePass(ModulePass):
    """See the module docstring. Options: sram_bytes of the machine."""

    name = "choose-single"
    sram_bytes: int = 1 << 21

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        tokens = without_encoder(op)  # an encoder works on many rows, by the other plan
        for plan in single_plans(op, TilePlan.of(op), self.sram_bytes):
            if need_of(ctx, tokens, plan, self.sram_bytes).fits(self.sram_bytes):
                op.attributes[SINGLE_ATTRIBUTE] = plan.to_attribute()
                return
