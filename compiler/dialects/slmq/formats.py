"""Element types, and the operations that change them."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, TensorType, f32, i8, i64
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import Shape, shape_of


def element_of(value_type: object) -> str:
    """`f32`, `bf16`, `i8`, `i32`: the element type of a tensor type."""
    if not isinstance(value_type, TensorType):
        raise VerifyException(f"expected a tensor, found {value_type}")
    return str(value_type.element_type)


@irdl_op_definition
class QuantizeOp(IRDLOperation):
    """Per row of the last `axes` dimensions: s = amax(x) * f32(1/127), q = i8(x / s)."""

    name = "slmq.quantize"
    x = operand_def(TensorType)
    axes = prop_def(IntegerAttr[i64])
    q = result_def(TensorType)
    scale = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `axes` $axes attr-dict `:` type($x) `->` type($q) `,` type($scale)"

    def verify_(self) -> None:
        axes, shape = self.axes.value.data, shape_of(self.x)
        kept = shape[: len(shape) - axes]
        if self.x.type != TensorType(f32, shape) or self.q.type != TensorType(i8, shape):
            raise VerifyException(
                f"quantize takes f32 and gives i8 of the same shape, found {self.x.type}, {self.q.type}"
            )
        if self.scale.type != TensorType(f32, (*kept, 1)):
            raise VerifyException(f"the scale of {shape} over {axes} dimensions is f32 {Shape((*kept, 1))}")


@irdl_op_definition
class RoundOp(IRDLOperation):
    """f32 rounded to bf16 or f16, to nearest even."""

    name = "slmq.round"
    x = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        if element_of(self.x.type) != "f32" or element_of(self.result.type) not in ("bf16", "f16"):
            raise VerifyException(f"round goes from f32 to bf16 or f16, found {self.x.type} -> {self.result.type}")
        if shape_of(self.x) != shape_of(self.result):
            raise VerifyException("round keeps the shape")
