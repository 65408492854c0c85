"""convert-slm-to-slmq: gives every value a number format, by scheme.

%y = slm.linear %x, #w      ->   %q, %s = slmq.quantize %x axes 1
                                 %y = slmq.matmul %q scale %s, #w as "i8"
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriteWalker,
    RewritePattern,
)
from xdsl.rewriter import Rewriter

from compiler.conversion.attention import ConvertAttention
from compiler.conversion.elementwise import ConvertActivation, ConvertBinary
from compiler.conversion.images import ConvertFullAttention, ConvertImageRows
from compiler.conversion.matrix import ConvertLinear
from compiler.conversion.norms import ConvertNorm
from compiler.conversion.recurrent import ConvertConvolution, ConvertScan
from compiler.conversion.routing import ConvertRouting, routers
from compiler.conversion.rows import ConvertEmbedding, ConvertRope, ConvertSinusoid
from compiler.conversion.tensors import ConvertTensor
from compiler.dialects import slm
from compiler.errors import CompileError
from compiler.locations import source_of
from compiler.schemes import named_scheme


def erase_unused(module: ModuleOp) -> None:
    """Constants and positions that have become attributes."""
    for op in list(module.walk()):
        if isinstance(op, slm.ConstantOp | slm.PositionsOp) and not op.result.uses:
            Rewriter.erase_op(op)


@dataclass(frozen=True)
class ConvertSlmToSlmqPass(ModulePass):
    """See the module docstring. Options: scheme, a name of compiler.schemes; rules, of a mixed one."""

    name = "convert-slm-to-slmq"
    scheme: str = "w8a8"
    rules: tuple[str, ...] = ()

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        scheme = named_scheme(self.scheme).with_rules(self.rules)
        patterns: list[RewritePattern] = [
            ConvertEmbedding(scheme), ConvertLinear(scheme, routers(op)), ConvertAttention(scheme), ConvertNorm(), ConvertRope(),
            ConvertSinusoid(), ConvertActivation(), ConvertBinary(), ConvertRouting(), ConvertTensor(),
            ConvertConvolution(), ConvertScan(), ConvertImageRows(), ConvertFullAttention(scheme),
        ]  # fmt: skip
        applier = GreedyRewritePatternApplier(patterns)
        PatternRewriteWalker(applier, apply_recursively=False).rewrite_module(op)
        erase_unused(op)
        for left in op.walk():
            if left.name.startswith("slm.") and not isinstance(left, slm.STRUCTURE_OPS):
                raise CompileError(f"{left.name} has no exact form yet", source_of(left.location))
