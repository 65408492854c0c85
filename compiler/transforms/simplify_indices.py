"""simplify-indices: what is known of index arithmetic is worked out, and constants move outwards, where views take them in.

    divsi(subi(%i, 64), 64) * 33024   ->   %i * 516 + -33024      if 64 divides %i
Branches that are always taken, or never, because of the range of their operands disappear.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern
from xdsl.rewriter import InsertPoint, Rewriter

from compiler.analysis.value_ranges import Ranges, divisor_of
from compiler.attributes import INDEX
from compiler.dialects import tile
from compiler.locations import replace_keep_loc
from compiler.rewriting import ByKind, KindWalker, Patterns
from compiler.scalars import ARITHMETIC, constant, constant_of
from compiler.transforms.view_patterns import FoldView
from compiler.walking import ops_of


def with_constant(value: SSAValue, kind: type[Operation]) -> tuple[SSAValue, int] | None:
    """The operands of `value = kind(x, number)`, numbers stand on the right."""
    owner = value.owner
    if not isinstance(owner, kind):
        return None
    number = constant_of(owner.operands[1])
    return None if number is None else (owner.operands[0], number)


def rebuilt(rewriter: PatternRewriter, op: Operation, x: SSAValue, *steps: tuple[type[Operation], int]) -> None:
    """Replaces op by x with constants applied, one after the other."""
    new: list[Operation] = []
    for kind, number in steps:
        if number == (1 if kind is arith.MuliOp else 0):
            continue
        right = constant(number)
        result = kind.create(operands=[x, right.result], result_types=[INDEX])
        x = result.results[0]
        new += [right, result]
    replace_keep_loc(rewriter, op, new, [x])


class Known(RewritePattern):
    """Arithmetic of numbers."""

    @op_type_rewrite_pattern
    def match_and_rewrite(
        self, op: arith.DivSIOp | arith.RemSIOp | arith.MinSIOp | arith.MaxSIOp, rewriter: PatternRewriter
    ) -> None:
        a, b = constant_of(op.lhs), constant_of(op.rhs)
        if a is not None and b:
            replace_keep_loc(rewriter, op, constant(ARITHMETIC[type(op)](a, b)))


class SubtractConstant(RewritePattern):
    """x - 64 -> x + -64"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.SubiOp, rewriter: PatternRewriter) -> None:
        number = constant_of(op.rhs)
        if number is not None and constant_of(op.lhs) is None:
            rebuilt(rewriter, op, op.lhs, (arith.AddiOp, -number))


class AddTwice(RewritePattern):
    """(x + a) + b -> x + (a + b)"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.AddiOp, rewriter: PatternRewriter) -> None:
        inner, number = with_constant(op.lhs, arith.AddiOp), constant_of(op.rhs)
        if inner is not None and number is not None:
            rebuilt(rewriter, op, inner[0], (arith.AddiOp, inner[1] + number))


class MultiplySum(RewritePattern):
    """(x + a) * b -> x * b + a * b"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.MuliOp, rewriter: PatternRewriter) -> None:
        inner, number = with_constant(op.lhs, arith.AddiOp), constant_of(op.rhs)
        if inner is not None and number is not None:
            rebuilt(rewriter, op, inner[0], (arith.MuliOp, number), (arith.AddiOp, inner[1] * number))


class MultiplyQuotient(RewritePattern):
    """(x / a) * b -> x * (b / a), if a divides both"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: arith.MuliOp, rewriter: PatternRewriter) -> None:
        inner, number = with_constant(op.lhs, arith.DivSIOp), constant_of(op.rhs)
        if inner is None or number is None or inner[1] <= 0:
            return
        if number % inner[1] == 0 and divisor_of(inner[0]) % inner[1] == 0:
            rebuilt(rewriter, op, inner[0], (arith.MuliOp, number // inner[1]))


PATTERNS: dict[type[Operation], Patterns] = {
    **dict.fromkeys((arith.DivSIOp, arith.RemSIOp, arith.MinSIOp, arith.MaxSIOp), (Known(),)),
    arith.SubiOp: (SubtractConstant(),),
    arith.AddiOp: (AddTwice(),),
    arith.MuliOp: (MultiplySum(), MultiplyQuotient()),
    tile.ViewOp: (FoldView(),),
}


def settle_branches(module: ModuleOp) -> None:
    """Branches whose condition is always the same; inner ones first, as they go with the branch they are in."""
    ranges = Ranges()
    for op in reversed(ops_of(scf.IfOp, module)):
        compare = op.cond.owner
        answer = ranges.decides(compare) if isinstance(compare, arith.CmpiOp) else None
        if answer is None:
            continue
        region = op.true_region if answer else op.false_region
        results: list[SSAValue] = []
        if region.blocks:
            end = region.block.last_op
            results = list(end.operands) if end is not None else []
            if end is not None:
                Rewriter.erase_op(end)
            Rewriter.inline_block(region.block, InsertPoint.before(op))
        Rewriter.replace_op(op, [], results)


@dataclass(frozen=True)
class SimplifyIndicesPass(ModulePass):
    """See the module docstring."""

    name = "simplify-indices"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        settle_branches(op)
        KindWalker(ByKind(lambda kind: PATTERNS.get(kind, ()))).rewrite_module(op)
