"""convert-slm-to-slmq: gives every value a number format, by scheme.

%y = slm.linear %x, #w      ->   %q, %s = slmq.quantize %x axes 1
                                 %y = slmq.matmul %q scale %s, #w as "i8"
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp, StringAttr, TensorType, bf16, f32, f64, i8, i64
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import Rewriter

from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.locations import replace_keep_loc, source_of
from compiler.schemes import Scheme, find_scheme


def quantize(value: SSAValue, axes: int) -> slmq.QuantizeOp:
    """int8 rows over the last `axes` dimensions."""
    shape = slm.shape_of(value)
    kept = shape[: len(shape) - axes]
    return slmq.QuantizeOp(
        operands=[value],
        properties={"axes": IntegerAttr(axes, i64)},
        result_types=[TensorType(i8, shape), TensorType(f32, (*kept, 1))],
    )


def rounded(value: SSAValue, element: str) -> tuple[list[Operation], SSAValue]:
    """The value as f32 or bf16, with the ops needed."""
    if element == "f32":
        return [], value
    op = slmq.RoundOp(operands=[value], result_types=[TensorType(bf16, slm.shape_of(value))])
    return [op], op.result


@dataclass(frozen=True)
class ConvertEmbedding(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.EmbeddingOp, rewriter: PatternRewriter) -> None:
        properties: dict[str, Attribute] = {"weight": op.weight, "format": StringAttr(self.scheme.table)}
        new = slmq.EmbedOp(operands=[op.tokens], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


@dataclass(frozen=True)
class ConvertLinear(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.LinearOp, rewriter: PatternRewriter) -> None:
        ops: list[Operation] = []
        scale: SSAValue | None = None
        if self.scheme.weights == "i8":
            quantized = quantize(op.x, len(slm.shape_of(op.x)) - 1)
            ops.append(quantized)
            x, scale = quantized.q, quantized.scale
        else:
            ops, x = rounded(op.x, self.scheme.weights)
        properties: dict[str, Attribute] = {"weight": op.weight, "format": StringAttr(self.scheme.weights)}
        if op.bias is not None:
            properties["bias"] = op.bias
        matmul = slmq.MatmulOp(operands=[x, scale], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, [*ops, matmul])


@dataclass(frozen=True)
class ConvertAttention(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.AttentionOp, rewriter: PatternRewriter) -> None:
        scaled = slmq.ScaleOp(operands=[op.q], properties={"factor": op.scale}, result_types=[op.q.type])
        ops, q = rounded(scaled.result, self.scheme.attention)
        ops = [scaled, *ops]
        kv: list[SSAValue] = []
        scales: list[SSAValue | None] = [None, None]
        for index, value in enumerate((op.k, op.v)):
            if self.scheme.cache == "i8":
                quantized = quantize(value, 1)
                ops.append(quantized)
                kv.append(quantized.q)
                scales[index] = quantized.scale
            else:
                more, result = rounded(value, self.scheme.cache)
                ops += more
                kv.append(result)
        properties: dict[str, Attribute] = {"state": op.state}
        for name, attribute in (("window", op.window), ("softcap", op.softcap)):
            if attribute is not None:
                properties[name] = attribute
        new = slmq.AttentionOp(operands=[q, *kv, *scales], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, [*ops, new])


class ConvertNorm(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.RmsNormOp, rewriter: PatternRewriter) -> None:
        new = slmq.RmsNormOp(operands=[op.x], properties=op.properties.copy(), result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


class ConvertRope(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.RopeOp, rewriter: PatternRewriter) -> None:
        new = slmq.RopeOp(operands=[op.x], properties={"rotary": op.rotary}, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


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


def erase_unused_constants(module: ModuleOp) -> None:
    """Those that have become attributes."""
    for op in list(module.walk()):
        if isinstance(op, slm.ConstantOp) and not op.result.uses:
            Rewriter.erase_op(op)


@dataclass(frozen=True)
class ConvertSlmToSlmqPass(ModulePass):
    """See the module docstring. Options: scheme, a name of compiler.schemes."""

    name = "convert-slm-to-slmq"
    scheme: str = "w8a8"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        scheme = find_scheme(self.scheme)
        patterns: list[RewritePattern] = [
            ConvertEmbedding(scheme), ConvertLinear(scheme), ConvertAttention(scheme), ConvertNorm(), ConvertRope(),
            ConvertActivation(), ConvertBinary(),
        ]  # fmt: skip
        applier = GreedyRewritePatternApplier(patterns)
        PatternRewriteWalker(applier, apply_recursively=False).rewrite_module(op)
        erase_unused_constants(op)
        for left in op.walk():
            if left.name.startswith("slm.") and not isinstance(left, slm.LayersOp | slm.YieldOp):
                raise CompileError(f"{left.name} has no exact form yet", source_of(left.location))
