"""What a chunk of tokens costs under a plan, in DRAM bytes: the closed form by which choose-tiling compares plans.

    time = sum over groups of products: the longer of (tokens * work / balance, weights + tokens * moved) + an eighth of the other
         + sum over regions of rows, attention and stacks of layers: tokens * moved
with `work` the matrix unit's time for a token in multiply-accumulates of its fastest type, `weights` the bytes that are streamed
once per chunk, `moved` the bytes of a token's values that come from DRAM or go there, and `balance` the multiply-accumulates that
the unit does while DRAM moves a byte. The eighth: the engines wait for each other where a loop over strips begins and ends, and where
they are about equally busy. What the vector unit does is the same under every plan.
With one buffer of a stream all of the other is added: nothing comes while it is read.

An expert of a mixture whose rows choose has its weights streamed once for all tokens that go through a layer together, or once for each
part of its rows; a token's share is that of the experts it chooses. Rows choose evenly, it is supposed, and an expert has room for a
quarter more than its share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from compiler.analysis.spills import spilled_values
from compiler.dialects import slm, slmq
from compiler.dialects.slm import row_shape
from compiler.emit.weight_layout import stored_row_bytes
from compiler.images import encoder_of
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import TilePlan
from compiler.lowering.segments import is_sparse
from compiler.lowering.strip_shapes import strip_shapes

BEATS = {"i8": 1, "i4": 1, "e4m3": 1, "e2m1": 1, "bf16": 2, "f16": 2, "f32": 4}
"""Of the wider operand: what a multiply-accumulate takes, in those of int8. Machines have tables of their own; this one ranks plans."""


WAITING = 1 / 8
"""The part of the less busy engine's time that the other one waits."""


UNEVEN = 5 / 4
"""Rows that an expert is supposed to be given, in those of an even choice: with 64 and more that is almost never too little."""


@dataclass(frozen=True)
class Share:
    """How often a token has to do with what an op of an expert does (`used`), and how often its weights are streamed for a chunk
    (`streamed`), of all experts together."""

    used: int = 1
    streamed: float = 1


@dataclass(frozen=True)
class ChunkCost:
    """Of the layers of a step function: see the module docstring."""

    work: int
    weight_bytes: int


def layers_of(op: Operation) -> int:
    """How often an op runs in a chunk: once for each layer of its kind."""
    region = op.parent_region()
    while region is not None:
        stack = region.parent
        if isinstance(stack, slm.LayersOp):
            kind = stack.regions.index(region)
            return stack.layer_kinds.count(kind)
        region = stack.parent_region() if stack is not None else None
    return 1


def mixture_of(op: Operation) -> slm.MixtureOp | None:
    """The mixture whose rows choose that an op is in."""
    outer = op.parent_op()
    while outer is not None and not is_sparse(outer):
        outer = outer.parent_op()
    return outer if isinstance(outer, slm.MixtureOp) else None


def share_of(mixture: slm.MixtureOp | None, tokens: int, expert_rows: int) -> Share:
    """`tokens`: that go through a layer together, `expert_rows`: that an expert is given at once."""
    if mixture is None or mixture.chosen is None:
        return Share()
    used, count = slm.shape_of(mixture.chosen)[1], mixture.count
    touched = count * (1 - (1 - min(used / count, 1)) ** tokens)
    rows = tokens * used / touched
    return Share(used, touched * ceil(min(rows * UNEVEN, tokens) / expert_rows))


def step_function(module: ModuleOp) -> FuncOp | None:
    encoder = encoder_of(module)
    return next((op for op in module.walk() if isinstance(op, FuncOp) and op is not encoder), None)


def product_cost(op: slmq.MatmulOp) -> ChunkCost:
    """Of one layer."""
    form = op.weight_format
    beats = max(BEATS[form.element], BEATS[slmq.element_of(op.x.type)])
    return ChunkCost(
        op.rows * op.columns * beats, op.rows * (stored_row_bytes(form, op.columns) + form.scale_bytes(op.columns))
    )


def chunk_cost(module: ModuleOp) -> ChunkCost:
    """Of all products but those of the head, which sees one token of a prompt; of mixtures all experts are touched."""
    function = step_function(module)
    products = function.walk() if function is not None else ()
    work = weight_bytes = 0
    for op in [op for op in products if isinstance(op, slmq.MatmulOp)]:
        cost, layers, mixture = product_cost(op), layers_of(op), mixture_of(op)
        if layers > 1:
            work += cost.work * layers * share_of(mixture, 1, 1).used
            weight_bytes += cost.weight_bytes * layers * (1 if mixture is None else mixture.count)
    return ChunkCost(work, weight_bytes)


def token_weights(module: ModuleOp) -> int:
    """Bytes of all weights of products that a token reads, all experts of a mixture counted once."""
    function = step_function(module)
    products = [op for op in function.walk() if isinstance(op, slmq.MatmulOp)] if function is not None else []
    return sum(product_cost(op).weight_bytes * layers_of(op) for op in products)


def token_bytes(module: ModuleOp, plan: TilePlan, balance: float) -> float:
    """The time of a chunk per token, in bytes that DRAM moves meanwhile."""
    function = step_function(module)
    if function is None:
        return 0.0
    spilled = spilled_values(function, plan)
    experts = plan.for_experts()
    total = 0.0
    for op in function.walk():
        layers, mixture = layers_of(op), mixture_of(op)
        own, tokens = (plan, plan.chunk) if mixture is None else (experts, plan.most_tokens)
        share = share_of(mixture, tokens, own.chunk)
        if isinstance(op, slmq.StripsOp) and layers > 1:
            rows = tokens * share.used / share.streamed
            total += layers * share.used * group_bytes(op, own, spilled, balance, rows)
        elif isinstance(op, slmq.RowsOp | slmq.AttentionOp | slm.LayersOp):
            total += layers * share.used * sum(moved_bytes(value, spilled) for value in {*op.operands, *op.results})
        elif isinstance(op, slm.MixtureOp):
            total += layers * mixture_bytes(op, spilled)
    return total


def mixture_bytes(op: slm.MixtureOp, spilled: Mapping[SSAValue, int]) -> int:
    """What comes and goes of a token outside of experts: its values to each expert it chooses, the result of each, and the total
    there and back, which is cleared first."""
    used, total = share_of(op, 1, 1).used, moved_bytes(op.result, spilled)
    each = sum(moved_bytes(value, spilled) for value in (*op.values, op.yielded)) + 2 * total
    return used * each + total


def group_bytes(
    op: slmq.StripsOp, plan: TilePlan, spilled: Mapping[SSAValue, int], balance: float, rows: float
) -> float:
    """Of a group of products, per row; an input that is streamed comes again for each strip, the weights once for so many `rows`."""
    members = list(op.body.block.ops)
    products = [member for member in members if isinstance(member, slmq.MatmulOp)]
    costs = [product_cost(product) for product in products]
    inside = {result for member in members for result in member.results}
    read = {value for member in members for value in member.operands} - inside
    moved = sum(moved_bytes(value, spilled) for value in (*read, *op.outs))
    for product, shape in strip_shapes(plan, op).items():
        moved += moved_bytes(product.x, spilled) * (-(-product.rows // shape.rows) - 1)
    weights = sum(cost.weight_bytes for cost in costs) / rows
    lesser, longer = sorted((sum(cost.work for cost in costs) / balance, weights + moved))
    return longer + lesser * (WAITING if plan.buffers == 2 else 1)


def moved_bytes(value: SSAValue, spilled: Mapping[SSAValue, int]) -> int:
    """A token's bytes of a value, 0 if it is in SRAM."""
    return prod(row_shape(value)) * element_bytes(slmq.element_of(value.type)) if value in spilled else 0
