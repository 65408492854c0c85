"""Softmax, sums, choices and columns; which matrices decide a choice."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern

from compiler.dialects import slm, slmq
from compiler.locations import replace_keep_loc

SAME_FORM: dict[type[Operation], type[Operation]] = {
    slm.SoftmaxOp: slmq.SoftmaxOp,
    slm.ReduceSumOp: slmq.ReduceSumOp,
    slm.TopKOp: slmq.TopKOp,
    slm.ColumnOp: slmq.ColumnOp,
}
DECIDING = (slm.SoftmaxOp, slm.ReduceSumOp, slm.ColumnOp, slm.ActivationOp, slm.AddOp, slm.SubOp, slm.MulOp, slm.DivOp)


class ConvertRouting(RewritePattern):
    """These have one exact form, whatever the scheme is."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter) -> None:
        if type(op) not in SAME_FORM:
            return
        new = SAME_FORM[type(op)].create(
            operands=op.operands, properties=op.properties.copy(), result_types=op.result_types
        )
        replace_keep_loc(rewriter, op, new)


def routers(module: ModuleOp) -> frozenset[Operation]:
    """The linears that decide a choice: docs/numerics.md section 11."""
    linears = (op for op in module.walk() if isinstance(op, slm.LinearOp))
    return frozenset(op for op in linears if decides(op.result))


def decides(value: SSAValue) -> bool:
    """Whether the value reaches a top_k through DECIDING ops alone."""
    pending, seen = [value], {value}
    while pending:
        for use in pending.pop().uses:
            if isinstance(use.operation, slm.TopKOp):
                return True
            results = use.operation.results if isinstance(use.operation, DECIDING) else ()
            pending += [result for result in results if result not in seen]
            seen.update(results)
    return False
