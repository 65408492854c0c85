"""Products with weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from compiler.conversion.formats import group_sums, quantize, rounded
from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.locations import replace_keep_loc, source_of
from compiler.schemes import ROUTING, Scheme


@dataclass(frozen=True)
class ConvertLinear(RewritePattern):
    """`routers` decide a choice: they have a format of their own."""

    scheme: Scheme
    routers: frozenset[Operation]

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.LinearOp, rewriter: PatternRewriter) -> None:
        ops: list[Operation] = []
        scale: SSAValue | None = None
        sums: SSAValue | None = None
        form = ROUTING if op in self.routers else self.scheme.matrix_of(op.weight.key.data)
        if form.inputs == "i8":
            quantized = quantize(op.x, len(slm.shape_of(op.x)) - 1)
            ops.append(quantized)
            x, scale = quantized.q, quantized.scale
        else:
            ops, x = rounded(op.x, form.inputs)
        problem = form.weights.problem(prod(slm.shape_of(op.x)[1:]))
        if problem is not None:
            raise CompileError(f'weight "{op.weight.key.data}": {problem}', source_of(op.location))
        if form.weights.offsets:
            summed = group_sums(x, form.weights.group)
            ops.append(summed)
            sums = summed.result
        properties: dict[str, Attribute] = {"weight": op.weight, "format": StringAttr(str(form.weights))}
        if op.bias is not None:
            properties["bias"] = op.bias
        matmul = slmq.MatmulOp(operands=[x, scale, sums], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, [*ops, matmul])
