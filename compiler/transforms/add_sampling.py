"""add-sampling: computes logits only for the rows that are wanted, and samples the next token from the last of them.

    func.return %logits   ->   %token = slmq.sample %logits ; func.return %token
Behind the last op that mixes tokens every op works row by row, so slmq.select_rows goes right there. Ops that make rows of
tokens or positions are moved before it, since only there are all rows at hand. A function
that encodes an image has no logits and stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import FunctionType, ModuleOp, TensorType, i32
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.dialects import slmq
from compiler.dialects.slm import has_tokens
from compiler.errors import CompileError
from compiler.locations import named
from compiler.program import ENCODER


def mixes_tokens(op: Operation) -> bool:
    return any(isinstance(inner, slmq.MIXING_OPS) for inner in op.walk())


SOURCES = (slmq.EmbedOp, slmq.PositionRowsOp, slmq.SinusoidOp)
"""What makes rows of tokens and positions."""


def select_rows(body: list[Operation]) -> None:
    """Puts slmq.select_rows on every value that what follows the last token-mixing op reads from before."""
    mixing = [op for op in body if mixes_tokens(op)]
    if not mixing:
        return
    last = mixing[-1]
    behind = body[body.index(last) + 1 :]
    for op in behind:
        if isinstance(op, SOURCES):
            op.detach()
            Rewriter.insert_op(op, InsertPoint.before(last))
    after = [op for op in behind if not isinstance(op, SOURCES)]
    crossing = dict.fromkeys(
        operand for op in after for operand in op.operands if operand.owner not in after and has_tokens(operand)
    )
    for value in crossing:
        select = slmq.SelectRowsOp(operands=[value], result_types=[value.type])
        select.location = named("select_rows", last.location)
        Rewriter.insert_op(select, InsertPoint.after(last))
        for use in tuple(value.uses):
            if use.operation is not select and use.operation in after:
                use.operation.operands[use.index] = select.result


@dataclass(frozen=True)
class AddSamplingPass(ModulePass):
    """See the module docstring."""

    name = "add-sampling"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in [f for f in op.walk() if isinstance(f, FuncOp) and f.sym_name.data != ENCODER]:
            last = function.body.block.last_op
            if not isinstance(last, ReturnOp) or len(last.arguments) != 1:
                raise CompileError("a model function returns its logits, and nothing else")
            select_rows(list(function.body.block.ops))
            sample = slmq.SampleOp(operands=[last.arguments[0]], result_types=[TensorType(i32, [1])])
            sample.location = last.location = named("sample", last.location)
            Rewriter.insert_op(sample, InsertPoint.before(last))
            last.operands = [sample.token]
            inputs = function.function_type.inputs
            function.function_type = FunctionType.from_attrs(inputs, type(inputs)([sample.token.type]))
