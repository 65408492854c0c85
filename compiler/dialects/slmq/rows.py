"""Operations that work row by row, in exact f32."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import StringAttr, TensorType
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

from compiler.dialects.slm.attributes import RotaryAttr, WeightAttr, shape_of
from compiler.dialects.slmq.formats import element_of


def check_table_format(number_format: StringAttr) -> None:
    """Raises VerifyException if rows of a table cannot be stored so."""
    if number_format.data not in ("f32", "f16", "bf16"):
        raise VerifyException(f'an embedding table is f32, f16 or bf16, found "{number_format.data}"')


@irdl_op_definition
class EmbedOp(IRDLOperation):
    """Row tokens[t] of the table, stored as `format` (f32 or bf16), converted to f32."""

    name = "slmq.embed"
    tokens = operand_def(TensorType)
    weight = prop_def(WeightAttr)
    format = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$tokens `,` qualified($weight) `as` $format attr-dict `:` type($tokens) `->` type($result)"

    def verify_(self) -> None:
        check_table_format(self.format)
        if shape_of(self.result) != (*shape_of(self.tokens), *self.weight.shape[1:]):
            raise VerifyException(f"embed gives {shape_of(self.result)} from a table of {self.weight.shape}")


@irdl_op_definition
class RopeOp(IRDLOperation):
    """Rotates x [T, heads, head_dim] by the tables of `rotary`."""

    name = "slmq.rope"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    rotary = prop_def(RotaryAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($rotary) attr-dict `:` type($x)"

    def verify_(self) -> None:
        shape = shape_of(self.x)
        if len(shape) != 3 or self.rotary.dim.data > shape[2] or element_of(self.x.type) != "f32":
            raise VerifyException(f"rotary of {self.rotary.dim.data} dimensions on {self.x.type}")
