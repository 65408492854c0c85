"""hoist-from-mixtures: what a mixture computes from its values alone is computed once, in front of it, for all rows.

    %y = slm.mixture "experts" 8(%h) .. {          %q, %s = slmq.quantize %h ..
    ^bb0(%g):                                      %y = slm.mixture "experts" 8(%q, %s) .. {
      %q, %s = slmq.quantize %g ..           ->    ^bb0(%r, %t):
      %d = slmq.matmul %q scale %s, "..{e}.."        %d = slmq.matmul %r scale %t, "..{e}.."
The bits are the same because a body works row by row. Experts then gather int8 rows rather than f32 ones, and no row is quantised twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.traits import Pure

from compiler.dialects import slm


def knows_expert(op: Operation) -> bool:
    """Whether the op's result depends on the expert by itself: through a weight or a column."""
    weights = (value for value in op.properties.values() if isinstance(value, slm.WeightAttr))
    return slm.is_expert_column(op) or any(slm.EXPERT in weight.key.data for weight in weights)


def needs_body(inner: Operation, op: slm.MixtureOp, captured: dict[SSAValue, SSAValue]) -> bool:
    """Whether an operand is computed in the body."""
    made = (value.owner for value in inner.operands if value not in captured)
    return any(isinstance(owner, Operation) and owner.parent is op.block for owner in made)


def hoist(op: slm.MixtureOp) -> None:
    """Moves ops out of the body as long as there are any, then gives the mixture the values it still reads."""
    captured: dict[SSAValue, SSAValue] = dict(zip(op.block.args, op.values, strict=True))  # inside -> outside
    moved = False
    for inner in list(op.block.ops):
        if not inner.has_trait(Pure) or knows_expert(inner) or needs_body(inner, op, captured):
            continue
        moved = True
        inner.detach()
        inner.operands = [captured.get(value, value) for value in inner.operands]
        Rewriter.insert_op(inner, InsertPoint.before(op))
        for result in inner.results:
            argument = op.block.insert_arg(result.type, len(op.block.args))
            for use in tuple(result.uses):
                if op.is_ancestor(use.operation):
                    use.operation.operands[use.index] = argument
            captured[argument] = result
    if moved:
        rebuild(op, captured)


def rebuild(op: slm.MixtureOp, captured: dict[SSAValue, SSAValue]) -> None:
    """The mixture with the values that its body reads."""
    for argument in reversed(op.block.args):
        if not argument.uses:
            op.block.erase_arg(argument)
    values = [captured[argument] for argument in op.block.args]
    body = op.detach_region(op.body)
    new = slm.MixtureOp(op.group.data, op.count, values, op.weights, op.chosen, body, op.result.type)
    new.location = op.location
    Rewriter.replace_op(op, new)


@dataclass(frozen=True)
class HoistFromMixturesPass(ModulePass):
    """See the module docstring."""

    name = "hoist-from-mixtures"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for mixture in [inner for inner in op.walk() if isinstance(inner, slm.MixtureOp)]:
            hoist(mixture)
