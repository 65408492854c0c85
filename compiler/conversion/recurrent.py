"""Convolution and scan: f32 in every scheme, for errors of a state stay in it."""

from __future__ import annotations

from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc


class ConvertConvolution(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.CausalConvOp, rewriter: PatternRewriter) -> None:
        new = slmq.CausalConvOp(operands=[op.x], properties=op.properties.copy(), result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


class ConvertScan(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.SelectiveScanOp, rewriter: PatternRewriter) -> None:
        operands = [op.u, op.dt, op.a, op.b, op.c]
        new = slmq.SelectiveScanOp(operands=operands, properties=op.properties.copy(), result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)
