"""Attention: formats of queries, probabilities and the cache."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import UnitAttr
from xdsl.ir import Attribute, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from compiler.conversion.formats import quantize, rounded
from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc
from compiler.schemes import Scheme


@dataclass(frozen=True)
class ConvertAttention(RewritePattern):
    scheme: Scheme

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.AttentionOp, rewriter: PatternRewriter) -> None:
        factors: dict[str, Attribute] = {"factor": op.scale}
        if op.layer_scales is not None:
            factors["layer_factors"] = op.layer_scales
        scaled = slmq.ScaleOp(operands=[op.q], properties=factors, result_types=[op.q.type])
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
                more, result = rounded(value, self.scheme.attention)
                ops += more
                kv.append(result)
        properties: dict[str, Attribute] = {"state": op.state}
        if self.scheme.cache == "i4":
            properties["int4"] = UnitAttr()
        for name, attribute in (("window", op.window), ("softcap", op.softcap)):
            if attribute is not None:
                properties[name] = attribute
        new = slmq.AttentionOp(operands=[q, *kv, *scales], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, [*ops, new])
