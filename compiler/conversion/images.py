"""Operations on the rows of an image: exact f32, but for attention, which has the scheme's attention format."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import Attribute, Operation
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from compiler.conversion.formats import rounded
from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc
from compiler.schemes import Scheme

SAME_OPS: dict[type[Operation], type[Operation]] = {
    slm.PatchesOp: slmq.PatchesOp,
    slm.ConcatOp: slmq.ConcatOp,
    slm.L2NormalizeOp: slmq.L2NormalizeOp,
    slm.ReplaceOp: slmq.ReplaceOp,
}


class ConvertImageRows(RewritePattern):
    """Operations that are the same in both dialects."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if type(op) in SAME_OPS:
            new = SAME_OPS[type(op)].create(
                operands=list(op.operands), properties=op.properties.copy(), result_types=[op.results[0].type]
            )
            replace_keep_loc(rewriter, op, [new])


@dataclass(frozen=True)
class ConvertFullAttention(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.FullAttentionOp, rewriter: PatternRewriter) -> None:
        scaled = slmq.ScaleOp(operands=[op.q], properties={"factor": op.scale}, result_types=[op.q.type])
        ops: list[Operation] = [scaled]
        values = [scaled.result, op.k, op.v]
        for index, value in enumerate(values):
            more, values[index] = rounded(value, self.scheme.attention)
            ops += more
        properties: dict[str, Attribute] = {} if op.softcap is None else {"softcap": op.softcap}
        new = slmq.FullAttentionOp(operands=values, properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, [*ops, new])
