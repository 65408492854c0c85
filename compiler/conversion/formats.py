"""Operations that bring a value into a format."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import IntegerAttr, TensorType, bf16, f16, f32, i8, i64
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
    """The value as f32, bf16 or f16, with the ops needed."""
    if element == "f32":
        return [], value
    kind = bf16 if element == "bf16" else f16
    op = slmq.RoundOp(operands=[value], result_types=[TensorType(kind, slm.shape_of(value))])
    return [op], op.result


def group_sums(value: SSAValue, group: int) -> slmq.GroupSumsOp:
    """The sums of a row's groups."""
    tokens, *row = slm.shape_of(value)
    return slmq.GroupSumsOp(
        operands=[value],
        properties={"group": IntegerAttr(group, i64)},
        result_types=[TensorType(f32, (tokens, prod(row) // group))],
    )
