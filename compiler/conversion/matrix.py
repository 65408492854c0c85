"""Products with weights."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)

from compiler.conversion.formats import group_sums, quantize, rounded
from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.locations import replace_keep_loc, source_of
from compiler.schemes import ROUTING, Matrix, Rule, Scheme


def matrix_of(op: slm.LinearOp, scheme: Scheme, layer: int | None) -> Matrix:
    """The form of a product in a layer. Raises CompileError if the experts of a mixture have different ones."""
    key = op.weight.key.data
    if slm.EXPERT not in key:
        return scheme.matrix_of(slm.stored_name(key, layer, None))
    mixture = op.parent_op()
    while mixture is not None and not isinstance(mixture, slm.MixtureOp):
        mixture = mixture.parent_op()
    count = 1 if mixture is None else mixture.count
    forms = {scheme.matrix_of(slm.stored_name(key, layer, expert)) for expert in range(count)}
    if len(forms) > 1:
        name = slm.stored_name(key, layer, None)
        raise CompileError(
            f'a rule names some of the experts of "{name}"', source_of(op.location), hint="name all of them"
        )
    return forms.pop()


def layer_of(op: Operation) -> int | None:
    """A layer that runs the op: the first of its kind."""
    inner, outer = op, op.parent_op()
    while outer is not None and not isinstance(outer, slm.LayersOp):
        inner, outer = outer, outer.parent_op()
    if outer is None:
        return None
    region = inner.parent_region()
    return next(layer for layer, kind in enumerate(outer.layer_kinds) if outer.kinds[kind] is region)


@dataclass(frozen=True)
class ConvertLinear(RewritePattern):
    """`routers` decide a choice: they have a format of their own."""

    scheme: Scheme
    routers: frozenset[Operation]

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: slm.LinearOp, rewriter: PatternRewriter) -> None:
        ops: list[Operation] = []
        scale: SSAValue | None = None
        sums: SSAValue | None = None
        form = ROUTING if op in self.routers else matrix_of(op, self.scheme, layer_of(op))
        if form.inputs == "i8":
            quantized = quantize(op.x, len(slm.shape_of(op.x)) - 1)
            ops.append(quantized)
            x, scale = quantized.q, quantized.scale
        else:
            ops, x = rounded(op.x, form.inputs)
        problem = form.weights.problem(prod(slm.shape_of(op.x)[1:]))
        if problem is not None:
            key = op.weight.key.data
            hint = f"it stays in 8 bits with -q '{in_8_bits(self.scheme, key, form).name}'"
            raise CompileError(f'weight "{key}": {problem}', source_of(op.location), hint)
        if form.weights.offsets:
            summed = group_sums(x, form.weights.group)
            ops.append(summed)
            sums = summed.result
        properties: dict[str, Attribute] = {"weight": op.weight, "format": StringAttr(str(form.weights))}
        if op.bias is not None:
            properties["bias"] = op.bias
        matmul = slmq.MatmulOp(operands=[x, scale, sums], properties=properties, result_types=[op.result.type])
        replace_keep_loc(rewriter, op, [*ops, matmul])


def in_8_bits(scheme: Scheme, key: str, form: Matrix) -> Scheme:
    """The scheme with a rule for a weight, in all layers, whose inputs stay as they are."""
    everywhere = key.replace(slm.LAYER, "*").replace(slm.EXPERT, "*")
    rule = Rule(everywhere, Matrix(WeightFormat("i8"), form.inputs))
    return scheme.with_rules([str(one) for one in (rule, *scheme.rules)])
