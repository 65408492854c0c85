"""Elementwise operations and their broadcast rule."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import (
    Float64Type,
    FloatAttr,
    StringAttr,
    TensorType,
)
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import ACTIVATIONS, Shape, shape_of


@irdl_op_definition
class ActivationOp(IRDLOperation):
    """An elementwise function of ACTIVATIONS."""

    name = "slm.activation"
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
class ConstantOp(IRDLOperation):
    """A scalar, for broadcasting."""

    name = "slm.constant"
    value = prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($result)"


class BinaryBase(IRDLOperation):
    """Elementwise with tail broadcast: shapes equal, or one the tail of the other; size 1 stretches. Base of two dialects' ops."""

    lhs = operand_def(TensorType)
    rhs = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)"

    def verify_(self) -> None:
        lhs, rhs, found = (shape_of(value) for value in (self.lhs, self.rhs, self.result))
        if broadcast(lhs, rhs) != found:
            raise VerifyException(f"{self.name} of {lhs} and {rhs} is {broadcast(lhs, rhs)}, found {found}")


def broadcast(lhs: tuple[int, ...], rhs: tuple[int, ...]) -> Shape:
    """The shape of an elementwise result. Raises VerifyException if the shapes do not go together."""
    long, short = (lhs, rhs) if len(lhs) >= len(rhs) else (rhs, lhs)
    out = list(long)
    for position in range(1, len(short) + 1):
        a, b = long[-position], short[-position]
        if a != b and 1 not in (a, b):
            raise VerifyException(f"shapes {Shape(lhs)} and {Shape(rhs)} do not go together")
        out[-position] = b if a == 1 else a
    return Shape(out)


@irdl_op_definition
class AddOp(BinaryBase):
    name = "slm.add"


@irdl_op_definition
class SubOp(BinaryBase):
    name = "slm.sub"


@irdl_op_definition
class MulOp(BinaryBase):
    name = "slm.mul"


@irdl_op_definition
class DivOp(BinaryBase):
    name = "slm.div"


BinaryOp = AddOp | SubOp | MulOp | DivOp
