"""What DRAM waits in a token under a plan, in cycles: the closed form by which choose-single compares plans.

    wait = sum over groups of products and attention: transfers * max(TRANSFER, (product + latency - time) / 2)
         + sum over groups: spans * SPAN, and without loads ahead BETWEEN
         + sum over attention: what two products of its last block take longer than one transfer of it
with `time` of a transfer what its bytes take at the bandwidth of DRAM, and `product` what they take at the port of the matrix unit. Two
buffers take turns: a transfer waits until the product of the one before the last is done, so that two of them take no less than both
times, a product and the latencies. With one buffer each transfer waits for a product and the latencies. Bytes are the same under every
plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from xdsl.dialects.builtin import ModuleOp

from compiler.analysis.plan_costs import layers_of, mixture_of, share_of, step_function
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

    def wait(self, size_bytes: float, buffers: int) -> float:
        """Cycles of one of many transfers to so many buffers that take turns."""
        if buffers == 1:
            return size_bytes / self.port + LATENCY
        return max(TRANSFER, (size_bytes / self.port + LATENCY - size_bytes / self.dram) / 2)


class TokenWaits:
    """Of a module's step function: its layers and what is around them."""

    def __init__(self, module: ModuleOp, rates: Rates):
        function = step_function(module)
        ops = list(function.walk()) if function is not None else []
        self.rates = rates
        self.groups = [(op, visits(op)) for op in ops if isinstance(op, slmq.StripsOp)]
        self.attentions = [(op, layers_of(op)) for op in ops if isinstance(op, slmq.AttentionOp)]
        self.of_groups: dict[tuple[int, ...], float] = {}

    def under(self, plan: TilePlan) -> float:
        """Cycles of one token at the end of the context."""
        sizes = plan.token_strip_bytes, plan.span_bytes, plan.ahead, plan.buffers
        if sizes not in self.of_groups:
            self.of_groups[sizes] = sum(count * group_waits(op, plan, self.rates) for op, count in self.groups)
        return self.of_groups[sizes] + sum(
            layers * attention_waits(op, plan, self.rates) for op, layers in self.attentions
        )


def visits(op: slmq.StripsOp) -> int:
    """How often a token has to do with a group: in each layer, and there with each expert it chooses."""
    return layers_of(op) * share_of(mixture_of(op), 1, 1).used


def group_waits(op: slmq.StripsOp, plan: TilePlan, rates: Rates) -> float:
    shape = row_shape_of(plan, op)
    total = ceil(op.columns.value.data / shape.span) * SPAN + (0 if plan.ahead else BETWEEN)
    for product, strip in shape.strips.items():
        count = ceil(product.rows / strip.rows) * ceil(product.columns / strip.k_tile)
        total += count * rates.wait(strip.rows * streamed_bytes(product.weight_format, strip.k_tile), plan.buffers)
    return total


def attention_waits(op: slmq.AttentionOp, plan: TilePlan, rates: Rates) -> float:
    """Of keys and values of all positions. Keys and values of the last block are multiplied one after the other, while only what has been
    asked for before comes."""
    _, heads, head_dim = slm.shape_of(op.k)
    at_once = min(plan.kv_heads, heads)
    size = prod((plan.key_tile, at_once, head_dim, element_bytes(slmq.element_of(op.k.type))))
    count = ceil(plan.context / plan.key_tile) * (heads / at_once)
    return 2 * count * rates.wait(size, plan.buffers) + max(2 * size / rates.port - size / rates.dram, 0)
