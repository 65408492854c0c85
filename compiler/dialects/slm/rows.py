"""Operations that work row by row: one token at a time."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from xdsl.dialects.builtin import TensorType
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

from compiler.dialects.slm.attributes import RotaryAttr, Shape, WeightAttr, shape_of


@irdl_op_definition
class EmbeddingOp(IRDLOperation):
    """Row `tokens[t]` of the table; the indices are token ids, or the positions of slm.positions."""

    name = "slm.embedding"
    tokens = operand_def(TensorType)
    weight = prop_def(WeightAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$tokens `,` qualified($weight) attr-dict `:` type($tokens) `->` type($result)"

    def verify_(self) -> None:
        expected = Shape((*shape_of(self.tokens), *self.weight.shape[1:]))
        if shape_of(self.result) != expected:
            raise VerifyException(f"embedding gives {expected}, found {shape_of(self.result)}")


@irdl_op_definition
class LinearOp(IRDLOperation):
    """y[.., n] = sum_k x[.., k] w[n, k] + b[n]; input and output dimensions after the first are flattened."""

    name = "slm.linear"
    x = operand_def(TensorType)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($weight) (`bias` qualified($bias)^)? attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        rows, columns = prod(shape_of(self.result)[1:]), prod(shape_of(self.x)[1:])
        if prod(self.weight.shape) != rows * columns:
            raise VerifyException(f"linear {columns} -> {rows} has a weight of shape {self.weight.shape}")
        if self.bias is not None and prod(self.bias.shape) != rows:
            raise VerifyException(f"linear {columns} -> {rows} has a bias of shape {self.bias.shape}")


@irdl_op_definition
class RopeOp(IRDLOperation):
    """Rotates x [T, heads, head_dim] by position: pairs (x_j, x_{j + dim/2})."""

    name = "slm.rope"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    rotary = prop_def(RotaryAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($rotary) attr-dict `:` type($x)"

    def verify_(self) -> None:
        shape = shape_of(self.x)
        if len(shape) != 3 or self.rotary.dim.data > shape[2]:
            raise VerifyException(f"rotary of {self.rotary.dim.data} dimensions on {shape}")
