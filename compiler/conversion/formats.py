"""Operations that bring a value into a format."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, TensorType, bf16, f32, i8, i64
from xdsl.ir import Operation, SSAValue

from compiler.dialects import slm, slmq


def quantize(value: SSAValue, axes: int) -> slmq.QuantizeOp:
    """int8 rows over the last `axes` dimensions."""
    shape = slm.shape_of(value)
    kept = shape[: len(shape) - axes]
    return slmq.QuantizeOp(
        operands=[value],
        properties={"axes": IntegerAttr(axes, i64)},
        result_types=[TensorType(i8, shape), TensorType(f32, (*kept, 1))],
    )


def rounded(value: SSAValue, element: str) -> tuple[list[Operation], SSAValue]:
    """The value as f32 or bf16, with the ops needed."""
    if element == "f32":
        return [], value
    op = slmq.RoundOp(operands=[value], result_types=[TensorType(bf16, slm.shape_of(value))])
    return [op], op.result
