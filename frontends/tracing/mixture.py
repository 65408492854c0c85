"""Sums over a group of weights: the element is traced for each member; as all are alike, one of them becomes the body of a slm.mixture."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.rewriter import Rewriter

from compiler.dialects import slm
from frontends.configuration.declared import Group
from frontends.configuration.evaluator import Environment
from frontends.configuration.values import is_integer
from frontends.errors import show
from frontends.language import syntax
from frontends.tracing.emitter import Expert, Tensor
from frontends.tracing.operations import OperationTracer, token_shape

ROW_OPS = (
    slm.LinearOp, slm.RmsNormOp, slm.LayerNormOp, slm.ActivationOp, slm.ConstantOp, slm.TensorOp,
    slm.AddOp, slm.SubOp, slm.MulOp, slm.DivOp, slm.SoftmaxOp, slm.ReduceSumOp, slm.TopKOp, slm.ColumnOp,
)  # fmt: skip
"""What an expert may do: work row by row, as it is given some of the rows only."""


@dataclass(frozen=True)
class _Body:
    """One member's element: its operations, what they read from outside, the weights [T, E] they are multiplied with."""

    region: Region
    values: tuple[SSAValue, ...]
    weights: SSAValue | None
    result: Tensor

    def is_like(self, other: _Body) -> bool:
        same_values = (self.values, self.weights) == (other.values, other.weights)
        return same_values and self.region.is_structurally_equivalent(other.region)


class MixtureTracer(OperationTracer):
    """Sums over groups, and columns of tensors. expressions.py has the other expressions."""

    def reduce(self, expression: syntax.Reduce, environment: Environment) -> Tensor:
        """`sum(element for e in group)`."""
        group = environment[expression.group.name]
        assert isinstance(group, Group)
        if not group.members:
            raise self.error(expression.place, f'the group "{group.name}" does not exist with this config')
        first, *others = [self._body(expression, group, index, environment) for index in range(len(group.members))]
        for index, body in enumerate(others, 1):
            if not body.is_like(first):
                message = f'a sum over "{group.name}" needs members that are alike, but {index} differs from 0'
                hint = "each must do the same operations, with weights of the same shapes and types"
                raise self.error(expression.place, message, hint)
        chosen = None if first.weights is None else choice_of(first.weights)
        operation = slm.MixtureOp(
            group.name, len(group.members), first.values, first.weights, chosen, first.region, first.result.value.type
        )
        return Tensor(self.emitter.located(operation, expression.place).results[0], first.result.shape)

    def _body(self, expression: syntax.Reduce, group: Group, index: int, environment: Environment) -> _Body:
        """Traces the element of one member into a block of its own."""
        outside = self.emitter.block, self.emitter.expert
        self.emitter.block, self.emitter.expert = Block(), Expert(group.path, index, expression.variable)
        inner = {**environment, **group.members[index], expression.variable: index}
        result = self.rows_of(expression.place, "a sum over a group", self.known(expression.element, inner))
        block = self.emitter.block
        result, weights = self._without_weights(expression, block, result, len(group.members))
        self.emitter.block, self.emitter.expert = outside
        for op in block.ops:
            if not isinstance(op, ROW_OPS):
                raise self.unavailable(expression.place, f"{op.name.split('.')[1]} inside of a sum over a group")
        erase_unused(block, result.value)
        block.add_op(slm.YieldOp.create(operands=[result.value]))
        return _Body(Region(block), capture(block), weights, result)

    def _without_weights(
        self, expression: syntax.Reduce, block: Block, element: Tensor, members: int
    ) -> tuple[Tensor, SSAValue | None]:
        """If the element is a product with a factor p[e]: the product of the others, and p."""
        others = factors(block, element.value)
        weight = next((factor for factor in others if is_weight(block, factor, members)), None)
        if weight is None or not isinstance(weight.owner, slm.ColumnOp):
            return element, None
        others.remove(weight)  # the first of equal ones: a square keeps its other factor
        whole = next((factor for factor in others if factor.type == element.value.type), None)
        if whole is None:
            return element, None
        others.remove(whole)
        rest = Tensor(whole, element.shape)
        for factor in others:
            rest = self.binary_op(expression.place, "*", rest, Tensor(factor, slm.shape_of(factor)))
        return rest, weight.owner.x

    def column(self, expression: syntax.Index, value: Tensor, environment: Environment) -> Tensor:
        """`p[e]`: one column, of size 1; the index of the sum around it stays a variable."""
        x = self.rows_of(expression.place, "a column", value)
        position = self.known(expression.index, environment)
        if not is_integer(position) or not 0 <= position < x.shape[-1]:
            raise self.error(expression.place, f"column {show(position)} of {token_shape(x)}")
        expert = self.emitter.expert
        index = expression.index
        is_variable = expert is not None and isinstance(index, syntax.Name) and index.name == expert.variable
        return self.emitter.column(expression.place, x, None if is_variable else position)


def factors(block: Block, value: SSAValue, is_root: bool = True) -> list[SSAValue]:
    """What is multiplied to a value, from left to right. A product that is used elsewhere too is one factor."""
    product = value.owner
    if not isinstance(product, slm.MulOp) or product.parent is not block or not (is_root or value.has_one_use()):
        return [value]
    return factors(block, product.lhs, False) + factors(block, product.rhs, False)


def is_weight(block: Block, factor: SSAValue, members: int) -> bool:
    """Whether a factor is p[e], for a p [T, members] from outside."""
    column = factor.owner
    if not isinstance(column, slm.ColumnOp) or column.index is not None or is_inside(block, column.x):
        return False
    return slm.shape_of(column.x)[1:] == (members,)


def is_inside(block: Block, value: SSAValue) -> bool:
    return value.owner is block or isinstance(value.owner, Operation) and value.owner.parent is block


def erase_unused(block: Block, result: SSAValue) -> None:
    """Erases what the result does not need."""
    for op in reversed(list(block.ops)):
        if op is not result.owner and not any(value.uses for value in op.results):
            Rewriter.erase_op(op)


def capture(block: Block) -> tuple[SSAValue, ...]:
    """Makes what the block reads from outside its arguments, in the order of first use."""
    arguments: dict[SSAValue, SSAValue] = {}
    for op in block.ops:
        for position, value in enumerate(op.operands):
            if is_inside(block, value):
                continue
            if value not in arguments:
                arguments[value] = block.insert_arg(value.type, len(block.args))
            op.operands[position] = arguments[value]
    return tuple(arguments)


def choice_of(p: SSAValue) -> SSAValue | None:
    """The indices of the top_k that left p's zeros: p is its result, or that times or divided by something."""
    match p.owner:
        case slm.TopKOp() as op if len(slm.shape_of(op.result)) == 2:
            return op.chosen if p is op.result else None
        case slm.MulOp() as op:
            return _choice_of_factor(p, op.lhs) or _choice_of_factor(p, op.rhs)
        case slm.DivOp() as op:
            return _choice_of_factor(p, op.lhs)
        case _:
            return None


def _choice_of_factor(product: SSAValue, factor: SSAValue) -> SSAValue | None:
    """Only a factor of the whole shape has a zero for each of the product's."""
    return choice_of(factor) if factor.type == product.type else None
