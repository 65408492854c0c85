"""fuse-strips: groups each matmul with the elementwise ops behind it, so that a strip of columns is finished while it is in SRAM.

    %g = slmq.matmul ..                          %m = slmq.strips 5632 {
    %u = slmq.matmul ..                            %g = slmq.matmul .. ; %u = slmq.matmul .. ; %s = slmq.activation ..
    %s = slmq.activation "silu" %g        ->       %p = slmq.mul %s, %u
    %m = slmq.mul %s, %u                           slmq.yield %p }
Norms of heads, rotary embedding and rounding join too. An op joins when its operands and its result have the group's column count and are
produced in the group or before it. The sampler ends a group. A group whose inner value is needed by an op in between is not
extended past that op.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects import slm, slmq
from compiler.lowering.norms import is_head_norm

ELEMENTWISE = (slmq.ScaleOp, slmq.OffsetOp, slmq.ActivationOp, slmq.AddOp, slmq.SubOp, slmq.MulOp, slmq.DivOp)


@dataclass
class Group:
    """Ops of one future slmq.strips, in program order."""

    columns: int
    ops: list[Operation] = field(default_factory=list[Operation])


def is_head_by_head(op: Operation) -> bool:
    """Whether a strip of whole heads can have an op."""
    return isinstance(op, (slmq.RopeOp, slmq.RoundOp)) or is_head_norm(op)


def columns_of(value: SSAValue) -> int:
    return prod(slm.row_shape(value))


def joins(op: Operation, groups: dict[Operation, Group]) -> list[Group]:
    """The groups (one, or two to be merged) that an elementwise op or sampler may join; empty if none."""
    found: list[Group] = []
    for operand in op.operands:
        group = groups.get(operand.owner) if isinstance(operand.owner, Operation) else None
        if group is not None and group not in found and is_open(group, op):
            found.append(group)
    values = op.operands if isinstance(op, slmq.SampleOp) else (*op.operands, *op.results)
    if not found or any(columns_of(value) != found[0].columns for value in values):
        return []
    return found


def is_open(group: Group, op: Operation) -> bool:
    """Whether a group may still take ops: no sampler in it, and nothing before `op` needs it finished."""
    return not any(isinstance(member, slmq.SampleOp) for member in group.ops) and not used_between(group, op)


def used_between(group: Group, op: Operation) -> bool:
    """Whether an op outside the group, but before `op`, reads one of the group's values."""
    inside = set(group.ops)
    return any(
        use.operation not in inside and use.operation is not op and use.operation.is_before_in_block(op)
        for member in group.ops
        for result in member.results
        for use in result.uses
        if use.operation.parent is op.parent
    )


def find_groups(block: Block) -> list[Group]:
    """The groups of a block."""
    groups: dict[Operation, Group] = {}
    for op in block.ops:
        if isinstance(op, slmq.MatmulOp):
            groups[op] = Group(op.rows, [op])
        elif isinstance(op, (*ELEMENTWISE, slmq.SampleOp)) or is_head_by_head(op):
            found = joins(op, groups)
            if not found:
                continue
            merged = Group(found[0].columns, [member for group in found for member in group.ops] + [op])
            merged.ops.sort(key=lambda member: list(block.ops).index(member))
            for member in merged.ops:
                groups[member] = merged
    unique: list[Group] = []
    for group in groups.values():
        if group not in unique:
            unique.append(group)
    return unique


def build(group: Group) -> None:
    """Moves the ops of a group into one slmq.strips at the place of the last of them."""
    inside = set(group.ops)
    outs = [
        result
        for member in group.ops
        for result in member.results
        if any(use.operation not in inside for use in result.uses)
    ]
    last = group.ops[-1]
    body = Block()
    strips = slmq.StripsOp(
        properties={"columns": IntegerAttr(group.columns, i64)},
        regions=[Region(body)],
        result_types=[[out.type for out in outs]],
    )
    strips.location = group.ops[0].location
    Rewriter.insert_op(strips, InsertPoint.after(last))
    for out, new in zip(outs, strips.outs, strict=True):
        for use in tuple(out.uses):
            if use.operation not in inside:
                use.operation.operands[use.index] = new
    for member in group.ops:
        member.detach()
        body.add_op(member)
    end = slmq.YieldOp(operands=[outs])
    end.location = last.location
    body.add_op(end)


@dataclass(frozen=True)
class FuseStripsPass(ModulePass):
    """See the module docstring."""

    name = "fuse-strips"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        blocks = [block for outer in op.walk() for region in outer.regions for block in region.blocks]
        for block in blocks:
            if not isinstance(block.parent_op(), slmq.StripsOp):
                for group in find_groups(block):
                    build(group)
