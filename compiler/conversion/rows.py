"""Operations that work row by row."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc
from compiler.schemes import Scheme


@dataclass(frozen=True)
class ConvertEmbedding(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.EmbeddingOp, rewriter: PatternRewriter) -> None:
        properties: dict[str, Attribute] = {"weight": op.weight, "format": StringAttr(self.scheme.table)}
        new = slmq.EmbedOp(operands=[op.tokens], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


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
