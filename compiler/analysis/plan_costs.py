"""What a chunk of tokens costs under a plan, in DRAM bytes: the closed form by which choose-tiling compares plans.

    time = max(tokens * work / balance, weights + tokens * spilled)
with `work` the matrix unit's time for a token in multiply-accumulates of its fastest type, `weights` the bytes that are streamed
once per chunk, `spilled` the bytes that a token's values move to DRAM and back, and `balance` the multiply-accumulates that the
unit does while DRAM moves a byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from compiler.analysis.spills import spilled_values
from compiler.dialects import slm, slmq
from compiler.dialects.slm import row_shape
from compiler.emit.strip_layout import stored_row_bytes
from compiler.images import encoder_of
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import TilePlan

BEATS = {"i8": 1, "i4": 1, "e4m3": 1, "e2m1": 1, "bf16": 2, "f16": 2, "f32": 4}
"""Of the wider operand: what a multiply-accumulate takes, in those of int8. Machines have tables of their own; this one ranks plans."""


@dataclass(frozen=True)
class ChunkCost:
    """Of the layers of a step function: see the module docstring."""

    work: int
    weight_bytes: int

    def time_bytes(self, tokens: int, spilled_bytes: int, balance: float) -> float:
        """Time of a chunk, per token, in bytes that DRAM moves meanwhile."""
        return max(tokens * self.work / balance, self.weight_bytes + tokens * spilled_bytes) / tokens


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


def step_function(module: ModuleOp) -> FuncOp | None:
    encoder = encoder_of(module)
    return next((op for op in module.walk() if isinstance(op, FuncOp) and op is not encoder), None)


def chunk_cost(module: ModuleOp) -> ChunkCost:
    """Of all products but those of the head, which sees one token of a prompt."""
    work = weight_bytes = 0
    function = step_function(module)
    products = function.walk() if function is not None else ()
    for op in [op for op in products if isinstance(op, slmq.MatmulOp) and layers_of(op) > 1]:
        form, layers = op.weight_format, layers_of(op)
        beats = max(BEATS[form.element], BEATS[slmq.element_of(op.x.type)])
        work += layers * op.rows * op.columns * beats
        weight_bytes += layers * op.rows * (stored_row_bytes(form, op.columns) + form.scale_bytes(op.columns))
    return ChunkCost(work, weight_bytes)


def spilled_bytes(module: ModuleOp, plan: TilePlan) -> int:
    """Bytes per token that go to DRAM and back: each value is written once and read by each of its readers."""
    function = step_function(module)
    if function is None:
        return 0
    total = 0
    for value in spilled_values(function, plan):
        readers = len({use.operation for use in value.uses})
        owner = value.owner if isinstance(value.owner, Operation) else None
        is_made = owner is not None and not isinstance(owner, slm.LayersOp | slmq.SelectRowsOp)
        moved = prod(row_shape(value)) * element_bytes(slmq.element_of(value.type)) * (readers + is_made)
        total += moved * (layers_of(owner) if owner is not None else 1)
    return total
