"""group-rows: gathers ops that work row by row between products and attention, so that they can run on a few rows at a time.

    %n = slmq.rms_norm %x, ..                     %q, %s = slmq.rows(%x) { ^bb0(%r):
    %q, %s = slmq.quantize %n                 ->    %n = slmq.rms_norm %r, .. ; %q, %s = slmq.quantize %n ; slmq.yield %q, %s }
    .. slmq.strips of %q ..                       .. slmq.strips of %q ..
An op is moved down first, to the first op that needs its result and is not of its kind: rotary embedding, scaling and rounding of
queries and keys become one region in front of attention. What passes between regions can lie in DRAM then, and what lives inside
one takes a few rows. The same is done in experts that are given some of the rows. An image's encoder is cut in another way (cut-rows).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects import slm, slmq
from compiler.dialects.slm import has_tokens
from compiler.images import encoder_of
from compiler.lowering.segments import is_sparse
from compiler.lowering.values import ancestor_in
from compiler.transforms.fuse_strips import ELEMENTWISE

ROW_BY_ROW = (
    *ELEMENTWISE,
    slmq.EmbedOp,
    slmq.PositionRowsOp,
    slmq.SinusoidOp,
    slmq.ReplaceOp,
    slmq.RmsNormOp,
    slmq.LayerNormOp,
    slmq.QuantizeOp,
    slmq.RoundOp,
    slmq.RopeOp,
    slmq.GroupSumsOp,
)


def is_row_by_row(op: Operation) -> bool:
    return isinstance(op, ROW_BY_ROW) and all(has_tokens(result) for result in op.results)


def sink(block: Block) -> None:
    """Moves each row-by-row op down to the first op of the block that reads its results, last ops first."""
    for op in reversed(list(block.ops)):
        if not is_row_by_row(op):
            continue
        readers = [ancestor_in(block, use.operation) for result in op.results for use in result.uses]
        first = next((other for other in following(op) if other in readers), None)
        if first is not None and op.next_op is not first:
            op.detach()
            Rewriter.insert_op(op, InsertPoint.before(first))


def following(op: Operation) -> list[Operation]:
    found: list[Operation] = []
    current = op.next_op
    while current is not None:
        found.append(current)
        current = current.next_op
    return found


def find_groups(block: Block) -> list[list[Operation]]:
    """Runs of row-by-row ops that follow each other."""
    groups: list[list[Operation]] = []
    is_open = False
    for op in block.ops:
        if not is_row_by_row(op):
            is_open = False
        elif is_open:
            groups[-1].append(op)
        else:
            groups.append([op])
            is_open = True
    return groups


def parts_of(group: list[Operation]) -> list[list[Operation]]:
    """Quantisation that shares nothing with the rest of a group is a region of its own: what is quantised late must be."""
    inside = {result for op in group for result in op.results}
    alone = [op for op in group if isinstance(op, slmq.QuantizeOp) and op.x not in inside and not reads(group, op)]
    rest = [op for op in group if op not in alone]
    return [*([rest] if rest else []), *([op] for op in alone)]


def reads(group: list[Operation], op: Operation) -> bool:
    """Whether an op of a group reads a result of another one, or the same operand."""
    shared = {*op.operands, *op.results}
    return any(other is not op and not shared.isdisjoint(other.operands) for other in group)


def is_read_by_rows(value: SSAValue) -> bool:
    """Token ids are in SMEM: an embedding finds its own."""
    is_token = isinstance(value.owner, Block) and isinstance(value.owner.parent_op(), FuncOp)
    return has_tokens(value) and not is_token


def build(ops: list[Operation]) -> None:
    """Moves the ops into one slmq.rows at their place."""
    inside = set(ops)
    read = dict.fromkeys(
        value for op in ops for value in op.operands if is_read_by_rows(value) and value.owner not in inside
    )
    outs = [r for op in ops for r in op.results if any(use.operation not in inside for use in r.uses)]
    body = Block(arg_types=[value.type for value in read])
    region = slmq.RowsOp(operands=[list(read)], regions=[Region(body)], result_types=[[out.type for out in outs]])
    region.location = ops[0].location
    Rewriter.insert_op(region, InsertPoint.after(ops[-1]))
    replace_uses(outs, list(region.outs), inside, within=False)
    replace_uses(list(read), list(body.args), inside, within=True)
    for op in ops:
        op.detach()
        body.add_op(op)
    end = slmq.YieldOp(operands=[outs])
    end.location = ops[-1].location
    body.add_op(end)


def replace_uses(old: Sequence[SSAValue], new: Sequence[SSAValue], inside: set[Operation], *, within: bool) -> None:
    """Uses by the ops of a group, or by all others, read the new values."""
    for value, other in zip(old, new, strict=True):
        for use in tuple(value.uses):
            if (use.operation in inside) == within:
                use.operation.operands[use.index] = other


@dataclass(frozen=True)
class GroupRowsPass(ModulePass):
    """See the module docstring."""

    name = "group-rows"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        encoder = encoder_of(op)
        for function in [f for f in op.walk() if isinstance(f, FuncOp) and f is not encoder]:
            blocks = [function.body.block]
            blocks += [
                region.block for inner in function.walk() if isinstance(inner, slm.LayersOp) for region in inner.kinds
            ]
            blocks += [
                inner.block for inner in function.walk() if isinstance(inner, slm.MixtureOp) and is_sparse(inner)
            ]
            for block in blocks:
                sink(block)
                for group in find_groups(block):
                    for part in parts_of(group):
                        build(part)
