"""Norms keep everything: they are f32 in all schemes."""

from __future__ import annotations

from xdsl.ir import Operation
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern

from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc

NORMS: dict[type[Operation], type[Operation]] = {
    slm.RmsNormOp: slmq.RmsNormOp,
    slm.LayerNormOp: slmq.LayerNormOp,
}


class ConvertNorm(RewritePattern):
    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if type(op) not in NORMS:
            return
        new = NORMS[type(op)](
            operands=list(op.operands), properties=op.properties.copy(), result_types=[op.results[0].type]
        )
        replace_keep_loc(rewriter, op, new)
