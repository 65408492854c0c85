"""Rows that depend on the position alone: those of a learned table, and sines and cosines."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, StringAttr, TensorType, f32, i64
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import WeightAttr, shape_of
from compiler.dialects.slm.positions import check_sinusoid
from compiler.dialects.slmq.rows import check_table_format


@irdl_op_definition
class PositionRowsOp(IRDLOperation):
    """Row pos + t + offset of the table for token t of the chunk, stored as `format` (f32 or bf16), converted to f32."""

    name = "slmq.position_rows"
    weight = prop_def(WeightAttr)
    offset = prop_def(IntegerAttr[i64])
    format = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "qualified($weight) `as` $format `offset` $offset attr-dict `:` type($result)"

    def verify_(self) -> None:
        check_table_format(self.format)
        if shape_of(self.result)[1:] != self.weight.shape[1:]:
            raise VerifyException(f"position_rows gives {shape_of(self.result)} from a table of {self.weight.shape}")
        if not 0 <= self.offset.value.data < self.weight.shape[0]:
            raise VerifyException(
                f"rows from {self.offset.value.data} on, but the table is of shape {self.weight.shape}"
            )


@irdl_op_definition
class SinusoidOp(IRDLOperation):
    """Row t is the sinusoid of position pos + t + offset, f32 of the binary64 formula."""

    name = "slmq.sinusoid"
    offset = prop_def(IntegerAttr[i64])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "`offset` $offset attr-dict `:` type($result)"

    def verify_(self) -> None:
        shape = shape_of(self.result)
        if len(shape) != 2 or self.result.type != TensorType(f32, shape) or self.offset.value.data < 0:
            raise VerifyException(
                f"sinusoid gives f32 [T, d] from positions 0 or more, found {self.result.type}, {self.offset.value.data}"
            )
        check_sinusoid(shape[1])
