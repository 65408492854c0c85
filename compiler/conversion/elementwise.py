"""Elementwise operations; constants become attributes."""

from __future__ import annotations

from xdsl.dialects.builtin import FloatAttr, f64
from xdsl.ir import Operation, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.locations import replace_keep_loc, source_of


class ConvertActivation(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.ActivationOp, rewriter: PatternRewriter) -> None:
        new = slmq.ActivationOp(operands=[op.x], properties={"kind": op.kind}, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


BINARY: dict[type[Operation], type[Operation]] = {
    slm.AddOp: slmq.AddOp,
    slm.SubOp: slmq.SubOp,
    slm.MulOp: slmq.MulOp,
    slm.DivOp: slmq.DivOp,
}


def constant_of(value: SSAValue) -> float | None:
    owner = value.owner
    return owner.value.value.data if isinstance(owner, slm.ConstantOp) else None


def scaled(value: SSAValue, factor: float) -> slmq.ScaleOp:
    return slmq.ScaleOp(operands=[value], properties={"factor": FloatAttr(factor, f64)}, result_types=[value.type])


def moved(value: SSAValue, constant: float) -> slmq.OffsetOp:
    return slmq.OffsetOp(operands=[value], properties={"constant": FloatAttr(constant, f64)}, result_types=[value.type])


class ConvertBinary(RewritePattern):
    """A constant becomes an attribute: x * c, x / c = x * (1/c), x + c, x - c = x + (-c), c - x = (x * -1) + c."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if type(op) not in BINARY:
            return
        lhs, rhs = op.operands
        if isinstance(op, slm.AddOp | slm.MulOp) and constant_of(lhs) is not None:
            lhs, rhs = rhs, lhs
        left, right = constant_of(lhs), constant_of(rhs)
        if right is not None:
            new: list[Operation] = [self.by_constant(op, lhs, right)]
        elif left is not None and isinstance(op, slm.SubOp):
            negated = scaled(rhs, -1.0)
            new = [negated, moved(negated.result, left)]
        elif left is not None:
            raise CompileError("a constant divided by a tensor has no exact form", source_of(op.location))
        else:
            new = [BINARY[type(op)](operands=[lhs, rhs], result_types=[op.results[0].type])]
        replace_keep_loc(rewriter, op, new)

    def by_constant(self, op: Operation, x: SSAValue, constant: float) -> Operation:
        if isinstance(op, slm.MulOp):
            return scaled(x, constant)
        if isinstance(op, slm.DivOp):
            if constant == 0:
                raise CompileError("division by the constant 0", source_of(op.location))
            return scaled(x, 1.0 / constant)
        return moved(x, constant if isinstance(op, slm.AddOp) else -constant)
