"""The rows whose logits are wanted, and the next token."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import TensorType, i32
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import shape_of


@irdl_op_definition
class SelectRowsOp(IRDLOperation):
    """The rows whose logits are wanted: the last row of the prompt, or all rows if the host asked for them."""

    name = "slmq.select_rows"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x)"


@irdl_op_definition
class SampleOp(IRDLOperation):
    """The next token from the last row of the logits [rows, V]: docs/numerics.md section 10."""

    name = "slmq.sample"
    logits = operand_def(TensorType)
    token = result_def(TensorType)
    assembly_format = "$logits attr-dict `:` type($logits) `->` type($token)"

    def verify_(self) -> None:
        if len(shape_of(self.logits)) != 2 or self.token.type != TensorType(i32, [1]):
            raise VerifyException(f"sample takes logits [rows, V] and gives tensor<1xi32>, found {self.logits.type}")
