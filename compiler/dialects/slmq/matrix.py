"""Products with weights."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import StringAttr, TensorType
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import WeightAttr, shape_of
from compiler.dialects.slmq.formats import WEIGHT_FORMATS, element_of


@irdl_op_definition
class MatmulOp(IRDLOperation):
    """x times the transposed weight (stored as `format`), + bias. Float: sum_fp. i8: (f32(p) * sw[n]) * scale[t]."""

    name = "slmq.matmul"
    x = operand_def(TensorType)
    scale = opt_operand_def(TensorType)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    format = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$x (`scale` $scale^)? `,` qualified($weight) `as` $format (`bias` qualified($bias)^)? attr-dict"
        " `:` type($x) (`scale` type($scale)^)? `->` type($result)"
    )

    @property
    def rows(self) -> int:
        return prod(shape_of(self.result)[1:])

    @property
    def columns(self) -> int:
        return prod(shape_of(self.x)[1:])

    def verify_(self) -> None:
        if self.format.data not in WEIGHT_FORMATS or element_of(self.x.type) != self.format.data:
            raise VerifyException(f'a weight as "{self.format.data}" does not go with {self.x.type}')
        if prod(self.weight.shape) != self.rows * self.columns:
            raise VerifyException(f"matmul {self.columns} -> {self.rows} has a weight of {self.weight.shape}")
        if (self.format.data == "i8") != (self.scale is not None):
            raise VerifyException("an i8 matmul, and only that, takes the scale of its input")
        if element_of(self.result.type) != "f32":
            raise VerifyException(f"matmul gives f32, found {self.result.type}")
