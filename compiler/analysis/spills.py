"""Which values of a step function lie in DRAM: rows too large for SRAM that all their readers can take a few rows or columns at a time.

Values that must be in one place are decided on together: what a stack of layers takes, hands on and gives, and what rows are
selected from. In an expert there are other rows than outside, and so a plan of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd, prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue, Use

from compiler.dialects import slm, slmq
from compiler.dialects.slm import has_tokens, row_shape
from compiler.lowering.builder import element_bytes
from compiler.lowering.plan import STRIP_ROWS_UNIT, TilePlan
from compiler.lowering.segments import crossing_values, is_sparse
from compiler.lowering.strip_shapes import is_streamed, late_reader, strip_shapes, wide_shape_of

MOST_BLOCK_COLUMNS = 64


class Places:
    """Values that must lie in one place, as sets that are merged."""

    def __init__(self) -> None:
        self.parent: dict[SSAValue, SSAValue] = {}

    def find(self, value: SSAValue) -> SSAValue:
        while self.parent.get(value, value) is not value:
            value = self.parent[value]
        return value

    def merge(self, values: Iterable[SSAValue]) -> None:
        first, *others = [self.find(value) for value in values]
        for other in others:
            if self.find(other) is not first:
                self.parent[self.find(other)] = first


def spilled_values(function: FuncOp, plan: TilePlan) -> dict[SSAValue, int]:
    """Value -> columns of its blocks in DRAM (compiler/lowering/spilling.py)."""
    found: dict[SSAValue, int] = {}
    for number, (members, block) in enumerate(spill_classes(function, plan)):
        if not plan.kept >> number & 1:
            found |= dict.fromkeys(members, block)
    return found


def spill_classes(function: FuncOp, plan: TilePlan) -> list[tuple[list[SSAValue], int]]:
    """Values that are too large for SRAM and can lie in DRAM, those together that must be in one place, and the columns of their blocks."""
    if not plan.spills:
        return []
    blocks = [function.body.block]
    stacks = [op for op in function.walk() if isinstance(op, slm.LayersOp)]
    blocks += [region.block for stack in stacks for region in stack.kinds]
    crossing = {value for block in blocks for value in crossing_values(block)} if plan.tokens else set[SSAValue]()
    blocks += [op.block for op in function.walk() if isinstance(op, slm.MixtureOp)]
    values = [value for block in blocks for value in (*block.args, *results_of(block)) if is_row_tensor(value)]
    places = Places()
    for stack in stacks:
        ends = [region.block.last_op for region in stack.kinds]
        for index, value in enumerate(stack.values):
            places.merge([value, stack.outs[index], *(region.block.args[index] for region in stack.kinds)])
            places.merge([value, *(end.operands[index] for end in ends if end is not None)])
    for op in function.walk():
        if isinstance(op, slmq.SelectRowsOp):
            places.merge([op.x, op.result])
    classes: dict[SSAValue, list[SSAValue]] = {}
    for value in values:
        classes.setdefault(places.find(value), []).append(value)
    found: list[tuple[list[SSAValue], int]] = []
    for members in classes.values():
        own = plan_of(plan, members[0])
        rows = plan.tokens if not crossing.isdisjoint(members) else own.chunk
        if block := block_columns(members, own, rows):
            found.append((members, block))
    return found


def plan_of(plan: TilePlan, value: SSAValue) -> TilePlan:
    """The plan for the rows of a value: those of an expert, or of a chunk."""
    block = value.owner if isinstance(value.owner, Block) else value.owner.parent
    return plan.for_experts() if block is not None and is_sparse(block.parent_op()) else plan


def results_of(block: Block) -> list[SSAValue]:
    return [result for op in block.ops for result in op.results]


def is_row_tensor(value: SSAValue) -> bool:
    return has_tokens(value) if hasattr(value.type, "get_shape") else False


def block_columns(members: list[SSAValue], plan: TilePlan, most: int) -> int:
    """Columns of a block for values in one place, of `most` rows, 0 if they stay in SRAM. Where an expert takes or gives rows one by one,
    and no strip columns of them, a block is a row."""
    value = members[0]
    columns = prod(row_shape(value))
    reader = late_reader(plan, value)
    if reader is not None:
        return wide_shape_of(plan, reader).block
    if is_streamed(plan, value):
        made = strip_shapes(plan, value.owner).values() if isinstance(value.owner, slmq.StripsOp) else ()
        return gcd(columns, MOST_BLOCK_COLUMNS, *(shape.rows for shape in made), *k_tiles(plan, value))
    if most * columns * element_bytes(slmq.element_of(value.type)) <= plan.spill_bytes:
        return 0
    if not all(can_be_made(member) and all(can_read(use) for use in member.uses) for member in members):
        return 0
    touching = {op for member in members for op in touching_ops(member)}
    strips = [op for op in touching if isinstance(op, slmq.StripsOp)]
    rows = [shape.rows for op in strips for shape in strip_shapes(plan, op).values()]
    if any(isinstance(op, slmq.AttentionOp) for op in touching):
        head_dim = row_shape(value)[-1]
        return 0 if any(count % head_dim for count in rows) else head_dim
    if not strips and any(isinstance(op, slm.MixtureOp) for op in touching):
        return columns
    block = gcd(columns, MOST_BLOCK_COLUMNS, *rows)
    return block if block >= STRIP_ROWS_UNIT else 0


def k_tiles(plan: TilePlan, x: SSAValue) -> list[int]:
    """Of the products that read x."""
    found: list[int] = []
    for use in x.uses:
        op, group = use.operation, use.operation.parent_op()
        if isinstance(op, slmq.MatmulOp) and isinstance(group, slmq.StripsOp):
            found.append(strip_shapes(plan, group)[op].k_tile)
    return found


def can_be_made(value: SSAValue) -> bool:
    """Whether what makes the value can write it to DRAM."""
    if isinstance(value.owner, Block):
        return isinstance(value.owner.parent_op(), slm.LayersOp)
    if isinstance(value.owner, slmq.AttentionOp):
        return value.owner.int4 is None
    if isinstance(value.owner, slm.MixtureOp):
        return is_sparse(value.owner)
    return isinstance(value.owner, slmq.StripsOp | slmq.RowsOp | slm.LayersOp | slmq.SelectRowsOp)


def can_read(use: Use) -> bool:
    """Whether a reader takes some rows or columns at a time. Products take whole rows of all tokens, again for each strip."""
    op = use.operation
    if isinstance(op, slmq.AttentionOp):
        return op.int4 is None and op.operands[use.index] in (op.q, op.k, op.v)
    if isinstance(op.parent_op(), slmq.StripsOp):
        return not isinstance(op, slmq.MatmulOp | slmq.SampleOp | slmq.YieldOp)
    if isinstance(op, slm.MixtureOp):
        return is_sparse(op) and op.operands[use.index] in op.values
    if isinstance(op, slm.YieldOp) and isinstance(op.parent_op(), slm.MixtureOp):
        return is_sparse(op.parent_op())
    return isinstance(op, slmq.RowsOp | slmq.SelectRowsOp | slm.LayersOp | slm.YieldOp)


def touching_ops(value: SSAValue) -> list[Operation]:
    """Ops that make or read the value; one inside a group of strips counts as the group."""
    found = [value.owner] if isinstance(value.owner, Operation) else []
    for use in value.uses:
        outer = use.operation.parent_op()
        found.append(outer if isinstance(outer, slmq.StripsOp) else use.operation)
    return found
