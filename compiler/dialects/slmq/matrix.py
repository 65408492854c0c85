"""Products with weights."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import IntegerAttr, StringAttr, TensorType, f32, i64
from xdsl.irdl import (
    AttrSizedOperandSegments,
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
from compiler.dialects.slmq.formats import element_of
from compiler.formats import WeightFormat


@irdl_op_definition
class MatmulOp(IRDLOperation):
    """x times the transposed weight (stored as `format`), + bias. docs/numerics.md section 8 has the formula of each format.

    x is f32, f16, bf16, or i8 with its scale per token. sums: of x over the groups of a format with offsets, from group_sums.
    """

    name = "slmq.matmul"
    x = operand_def(TensorType)
    scale = opt_operand_def(TensorType)
    sums = opt_operand_def(TensorType)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    format = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = (
        "$x (`scale` $scale^)? (`sums` $sums^)? `,` qualified($weight) `as` $format (`bias` qualified($bias)^)? attr-dict"
        " `:` type($x) (`scale` type($scale)^)? (`sums` type($sums)^)? `->` type($result)"
    )

    @property
    def weight_format(self) -> WeightFormat:
        return WeightFormat.of(self.format.data)

    @property
    def rows(self) -> int:
        return prod(shape_of(self.result)[1:])

    @property
    def columns(self) -> int:
        return prod(shape_of(self.x)[1:])

    def verify_(self) -> None:
        self.verify_formats()
        if prod(self.weight.shape) != self.rows * self.columns:
            raise VerifyException(f"matmul {self.columns} -> {self.rows} has a weight of {self.weight.shape}")
        if element_of(self.result.type) != "f32":
            raise VerifyException(f"matmul gives f32, found {self.result.type}")

    def verify_formats(self) -> None:
        try:
            form = self.weight_format
        except ValueError as error:
            raise VerifyException(str(error)) from error
        inputs = element_of(self.x.type)
        if inputs not in form.inputs:
            raise VerifyException(f'a weight as "{form}" does not go with {self.x.type}')
        problem = form.problem(self.columns)
        if problem is not None:
            raise VerifyException(f'a weight as "{form}": {problem}')
        if (inputs == "i8") != (self.scale is not None):
            raise VerifyException("an i8 input, and only that, has a scale")
        tokens = shape_of(self.x)[0]
        if self.scale is not None and self.scale.type != TensorType(f32, (tokens, 1)):
            raise VerifyException(f"the scale of {self.x.type} is not {self.scale.type}")
        if form.offsets != (self.sums is not None):
            raise VerifyException("a weight with offsets, and only that, takes the sums of its input")
        if self.sums is not None and self.sums.type != TensorType(f32, (tokens, self.columns // form.group)):
            raise VerifyException(f"the sums of {self.x.type} over groups of {form.group} are not {self.sums.type}")


@irdl_op_definition
class GroupSumsOp(IRDLOperation):
    """sum_fp over each `group` consecutive elements of a row: x [T, ..] of f16, bf16 or i8 gives f32 [T, elements / group]."""

    name = "slmq.group_sums"
    x = operand_def(TensorType)
    group = prop_def(IntegerAttr[i64])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `by` $group attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        tokens, *row = shape_of(self.x)
        group = self.group.value.data
        if element_of(self.x.type) not in ("i8", "f16", "bf16") or group < 1 or prod(row) % group:
            raise VerifyException(f"sums over groups of {group} of {self.x.type} are not defined")
        if self.result.type != TensorType(f32, (tokens, prod(row) // group)):
            raise VerifyException(f"sums over groups of {group} of {self.x.type} are not {self.result.type}")
