"""Mixtures: a weighted sum over the members of a group of weights, rolled, of which each row may run a few only."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, StringAttr, TensorType, f32, i32, i64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    opt_operand_def,
    prop_def,
    region_def,
    result_def,
    var_operand_def,
)
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import has_tokens, shape_of
from compiler.dialects.slm.layers import LayersOp, YieldOp
from compiler.dialects.slm.routing import MIXTURE, ColumnBase


@irdl_op_definition
class MixtureOp(IRDLOperation):
    """sum over e of weights[:, e] * body(values), `{e}` in weight names of the body being e; experts are added in ascending order.

    `values` are all that the body reads: rows [T, ..], or without a token count what every row reads. `weights` [T, E] is absent
    where the sum has no weights. With `chosen` [T, k], the indices of a top_k, a row runs only the experts among its own: the body is
    then given only the rows that chose expert e.
    """

    name = MIXTURE
    values = var_operand_def(TensorType)
    weights = opt_operand_def(TensorType)
    chosen = opt_operand_def(TensorType)
    group = prop_def(StringAttr)
    experts = prop_def(IntegerAttr[i64])
    body = region_def("single_block")
    result = result_def(TensorType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = (
        "$group $experts `(` $values `)` (`weights` $weights^)? (`chosen` $chosen^)? $body attr-dict"
        " `:` type($values) (`weights` type($weights)^)? (`chosen` type($chosen)^)? `->` type($result)"
    )

    def __init__(
        self,
        group: str,
        experts: int,
        values: Sequence[SSAValue],
        weights: SSAValue | None,
        chosen: SSAValue | None,
        body: Region,
        result_type: Attribute,
    ):
        super().__init__(
            operands=[values, weights, chosen],
            result_types=[result_type],
            properties={"group": StringAttr(group), "experts": IntegerAttr(experts, i64)},
            regions=[body],
        )

    @property
    def count(self) -> int:
        """How many experts there are."""
        return self.experts.value.data

    @property
    def block(self) -> Block:
        return self.body.block

    @property
    def yielded(self) -> SSAValue:
        """The body's value."""
        last = self.block.last_op
        if not isinstance(last, YieldOp) or len(last.values) != 1:
            raise VerifyException("the body of a mixture yields one value")
        return last.values[0]

    def verify_(self) -> None:
        if self.count < 1:
            raise VerifyException(f"a mixture has at least 1 expert, found {self.count}")
        if not self.values or [arg.type for arg in self.block.args] != [value.type for value in self.values]:
            raise VerifyException("the body of a mixture takes the values of the mixture, at least one")
        if self.yielded.type != self.result.type or self.result.type != TensorType(f32, shape_of(self.result)):
            raise VerifyException(f"a mixture of {self.yielded.type} is f32 of that shape, found {self.result.type}")
        if not has_tokens(self.result) or not any(has_tokens(value) for value in self.values):
            raise VerifyException(f"a mixture has a row for each token, found {self.result.type}")
        self.check_routing()
        for op in self.body.walk():
            if isinstance(op, MixtureOp | LayersOp):
                raise VerifyException(f"{op.name} inside of a mixture")

    def check_routing(self) -> None:
        """Weights [T, E]; indices of at most E experts, which need weights."""
        tokens = shape_of(self.result)[0]
        if self.weights is not None and self.weights.type != TensorType(f32, (tokens, self.count)):
            raise VerifyException(f"weights of {self.count} experts are [T, {self.count}], found {self.weights.type}")
        if self.chosen is None:
            return
        shape = shape_of(self.chosen)
        if self.weights is None or len(shape) != 2 or self.chosen.type != TensorType(i32, (tokens, shape[1])):
            raise VerifyException(f"chosen experts are i32 [T, k] beside weights, found {self.chosen.type}")


def is_expert_column(op: Operation) -> bool:
    """Whether an op depends on the number of the expert."""
    return isinstance(op, ColumnBase) and op.index is None
