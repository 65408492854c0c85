"""Weights used as values: f32 in every scheme."""

from __future__ import annotations

from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc


class ConvertTensor(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.TensorOp, rewriter: PatternRewriter) -> None:
        new = slmq.TensorOp(properties={"weight": op.weight}, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)
