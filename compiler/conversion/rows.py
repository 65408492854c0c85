"""Operations that work row by row."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute, Operation
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.locations import replace_keep_loc, source_of
from compiler.schemes import Scheme


@dataclass(frozen=True)
class ConvertEmbedding(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.EmbeddingOp, rewriter: PatternRewriter) -> None:
        properties: dict[str, Attribute] = {"weight": op.weight, "format": StringAttr(self.scheme.table)}
        source = op.tokens.owner
        if isinstance(source, slm.PositionsOp):
            properties["offset"] = source.offset
            new: Operation = slmq.PositionRowsOp(properties=properties, result_types=[op.result.type])
        else:
            new = slmq.EmbedOp(operands=[op.tokens], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


class ConvertSinusoid(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.SinusoidOp, rewriter: PatternRewriter) -> None:
        source = op.positions.owner
        if not isinstance(source, slm.PositionsOp):
            raise CompileError("a sinusoid of other than positions has no exact form", source_of(op.location))
        new = slmq.SinusoidOp(properties={"offset": source.offset}, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)


class ConvertRope(RewritePattern):
    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.RopeOp, rewriter: PatternRewriter) -> None:
        new = slmq.RopeOp(operands=[op.x], properties={"rotary": op.rotary}, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, new)
