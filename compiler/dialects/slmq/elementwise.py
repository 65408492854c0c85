"""Elementwise operations, in exact f32."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import Float64Type, FloatAttr, StringAttr
from xdsl.ir import Operation
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import ACTIVATIONS
from compiler.dialects.slm.elementwise import BinaryBase
from compiler.dialects.slm.layers import ByLayer, check_by_layer


@irdl_op_definition
class ScaleOp(IRDLOperation):
    """x times a constant, rounded to f32 once; with `layer_factors` layer i of the stack takes layer_factors[i]."""

    name = "slmq.scale"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    factor = prop_def(FloatAttr[Float64Type])
    layer_factors = opt_prop_def(ByLayer)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `by` $factor (`by_layer` $layer_factors^)? attr-dict `:` type($x)"

    def verify_(self) -> None:
        check_by_layer(self, self.layer_factors)


@irdl_op_definition
class OffsetOp(IRDLOperation):
    """x plus a constant, which is rounded to f32 once."""

    name = "slmq.offset"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    constant = prop_def(FloatAttr[Float64Type])
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `by` $constant attr-dict `:` type($x)"


@irdl_op_definition
class ActivationOp(IRDLOperation):
    """One of slm.ACTIVATIONS by the formula of docs/numerics.md, f32."""

    name = "slmq.activation"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    kind = prop_def(StringAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$kind $x attr-dict `:` type($x)"

    def verify_(self) -> None:
        if self.kind.data not in ACTIVATIONS:
            raise VerifyException(f'unknown activation "{self.kind.data}" (known: {", ".join(ACTIVATIONS)})')


@irdl_op_definition
class AddOp(BinaryBase):
    name = "slmq.add"


@irdl_op_definition
class SubOp(BinaryBase):
    name = "slmq.sub"


@irdl_op_definition
class MulOp(BinaryBase):
    name = "slmq.mul"


@irdl_op_definition
class DivOp(BinaryBase):
    name = "slmq.div"


BINARY_FUNCTIONS: dict[type[Operation], str] = {AddOp: "add", SubOp: "sub", MulOp: "mul", DivOp: "div"}
