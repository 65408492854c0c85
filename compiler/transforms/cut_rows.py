"""cut-rows: cuts the encoder of an image into regions that are worked on by chunks of rows, as its tensors are larger than SRAM.

    %k = slmq.matmul %x, ..                          %k, %v = slmq.rows(%x) { ^bb0(%r): %a = slmq.matmul %r, .. ; .. }
    %v = slmq.matmul %x, ..                    ->
    %y = slmq.full_attention %q, %k, %v              %y = slmq.rows(%q) { ^bb0(%r): slmq.full_attention %r, %k, %v }
Inside, the first dimension is that of a chunk. An op that needs whole tensors begins a new region: attention those of its keys and
values, concat and patches their operands. What passes from one region to another is a whole tensor, in DRAM later on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects import slm, slmq
from compiler.dialects.slm import BinaryBase
from compiler.errors import CompileError
from compiler.images import encoder_of
from compiler.locations import source_of

WHOLE_OPS = (slm.LayersOp, slmq.PatchesOp, slmq.ConcatOp)


@dataclass
class Group:
    """Ops of one future slmq.rows, in program order."""

    rows: int
    ops: list[Operation] = field(default_factory=list[Operation])


def rows_of(op: Operation) -> int:
    return slm.shape_of(op.results[0])[0]


def read_whole(op: Operation) -> tuple[int, ...]:
    """The operands, by number, of which a row of the result needs all rows: keys and values."""
    return (1, 2) if isinstance(op, slmq.FullAttentionOp) else ()


def find_groups(block: Block) -> list[Group]:
    """Runs of ops that follow each other, work on the same number of rows, and need no whole tensor of their own run."""
    groups: list[Group] = []
    is_open = False
    for op in block.ops:
        if isinstance(op, slm.YieldOp | ReturnOp | slmq.TensorOp):
            continue
        if isinstance(op, WHOLE_OPS):
            is_open = False
            continue
        within = is_open and groups[-1].rows == rows_of(op)
        if not within or any(op.operands[index].owner in groups[-1].ops for index in read_whole(op)):
            groups.append(Group(rows_of(op)))
            is_open = True
        groups[-1].ops.append(op)
    return groups


def is_shared(value: SSAValue, reader: Operation) -> bool:
    """Whether each row reads all of a weight's values: they have no dimension of rows."""
    if not isinstance(value.owner, slmq.TensorOp) or not isinstance(reader, BinaryBase):
        return False
    return slm.shape_of(value) != slm.shape_of(reader.result)


def row_operands(group: Group) -> list[SSAValue]:
    """What the group reads row by row from outside. Raises CompileError for a tensor of another number of rows."""
    found: dict[SSAValue, None] = {}
    for op in group.ops:
        for index, value in enumerate(op.operands):
            if index in read_whole(op) or value.owner in group.ops or is_shared(value, op):
                continue
            if slm.shape_of(value)[:1] != (group.rows,):
                message = f"{op.name} of {group.rows} rows reads a tensor of {slm.shape_of(value)}"
                raise CompileError(message, source_of(op.location))
            found[value] = None
    return list(found)


def build(group: Group) -> None:
    """Moves the ops of a group into one slmq.rows at the place of the last of them."""
    inside = set(group.ops)
    operands = row_operands(group)
    results = [result for op in group.ops for result in op.results]
    outs = [result for result in results if any(use.operation not in inside for use in result.uses)]
    body = Block(arg_types=[slmq.of_chunk(value) for value in operands])
    region = slmq.RowsOp(operands=[operands], regions=[Region(body)], result_types=[[out.type for out in outs]])
    region.location = group.ops[0].location
    Rewriter.insert_op(region, InsertPoint.after(group.ops[-1]))
    for out, new in zip(outs, region.outs, strict=True):
        for use in tuple(out.uses):
            if use.operation not in inside:
                use.operation.operands[use.index] = new
    for value, argument in zip(operands, body.args, strict=True):
        for use in tuple(value.uses):
            if use.operation in inside and use.index not in read_whole(use.operation):
                use.operation.operands[use.index] = argument
    for op in group.ops:
        op.detach()
        body.add_op(op)
    end = slmq.YieldOp(operands=[outs])
    end.location = region.location
    body.add_op(end)
    for result in [result for op in group.ops for result in op.results]:
        Rewriter.replace_value_with_new_type(result, slmq.of_chunk(result))


@dataclass(frozen=True)
class CutRowsPass(ModulePass):
    """See the module docstring."""

    name = "cut-rows"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        encoder = encoder_of(op)
        if encoder is None:
            return
        blocks = [encoder.body.block]
        for inner in encoder.walk():
            if isinstance(inner, slm.LayersOp):
                blocks += [region.block for region in inner.kinds]
        for block in blocks:
            for group in find_groups(block):
                build(group)
