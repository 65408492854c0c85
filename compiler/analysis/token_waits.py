"""What DRAM waits in a token under a plan, in cycles: the closed form by which choose-single compares plans.

    wait = sum over groups of products and attention: transfers * max(TRANSFER, (product + latency - time) / 2)
         + sum over groups: spans * SPAN, and without loads ahead BETWEEN
         + sum over attention: what two products of its last block take longer than one transfer of it
with `time` of a transfer what its bytes take at the bandwidth of DRAM, and `product` what they take at the port of the matrix unit. Two
buffers take turns: a transfer waits until the product of the one before the last is done, so that two of them take no less than both
times, a product and the latencies. Bytes are the same under every plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from xdsl.dialects.builtin import ModuleOp

from compiler.analysis.plan_costs import layers_of, mixture_of, share_of, step_function
from compiler.analysis.tile_plans import attentions
from compiler.dialects import slm, slmq
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import TilePlan, streamed_bytes
from compiler.lowering.strip_shapes import row_shape_of

TRANSFER = 10
"""Cycles from the end of a transfer to the next one's begin."""
LATENCY = 85
"""Cycles from the end of a transfer until its product begins, and from that one's end until the buffer is free."""
SPAN = 100
"""Cycles that finishing one of the parts of a row takes from DRAM: loads behind it are dispatched late."""
BETWEEN = 400
"""Cycles from the end of a group's last transfer until the next group's first one may begin, if it is not ahead: the last product, what is
done to the row, and the latencies of all."""


@dataclass(frozen=True)
class Rates:
    """Bytes per cycle: of DRAM, and of the matrix unit's port for weights."""

    dram: float
    port: float

    def wait(self, size_bytes: float) -> float:
        """Cycles of one of many transfers."""
        return max(TRANSFER, (size_bytes / self.port + LATENCY - size_bytes / self.dram) / 2)


def token_waits(module: ModuleOp, plan: TilePlan, rates: Rates) -> float:
    """Of the layers and of what is around them."""
    function = step_function(module)
    groups = [op for op in function.walk() if isinstance(op, slmq.StripsOp)] if function is not None else []
    total = sum(visits(op) * group_waits(op, plan, rates) for op in groups)
    return total + sum(layers_of(op) * attention_waits(op, plan, rates) for op in attentions(module))


def visits(op: slmq.StripsOp) -> int:
    """How often a token has to do with a group: in each layer, and there with each expert it chooses."""
    return layers_of(op) * share_of(mixture_of(op), 1, 1).used


def group_waits(op: slmq.StripsOp, plan: TilePlan, rates: Rates) -> float:
    shape = row_shape_of(plan, op)
    total = ceil(op.columns.value.data / shape.span) * SPAN + (0 if plan.ahead else BETWEEN)
    for product, strip in shape.strips.items():
        count = ceil(product.rows / strip.rows) * ceil(product.columns / strip.k_tile)
        total += count * rates.wait(strip.rows * streamed_bytes(product.weight_format, strip.k_tile))
    return total


def attention_waits(op: slmq.AttentionOp | slmq.FullAttentionOp, plan: TilePlan, rates: Rates) -> float:
    """Of keys and values of all positions. Keys and values of the last block are multiplied one after the other, while only what has been
    asked for before comes."""
    _, heads, head_dim = slm.shape_of(op.k)
    at_once = min(plan.kv_heads, heads)
    size = prod((plan.key_tile, at_once, head_dim, element_bytes(slmq.element_of(op.k.type))))
    count = ceil(plan.context / plan.key_tile) * (heads / at_once)
    return 2 * count * rates.wait(size) + max(2 * size / rates.port - size / rates.dram, 0)
