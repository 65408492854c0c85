"""Positions of the tokens, and the fixed table that is looked up by them."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, TensorType, i32, i64
from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, prop_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import shape_of

LEAST_SINUSOID = 4


@irdl_op_definition
class PositionsOp(IRDLOperation):
    """The position of each token plus `offset`: offset, offset + 1, .."""

    name = "slm.positions"
    offset = prop_def(IntegerAttr[i64])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$offset attr-dict `:` type($result)"

    def verify_(self) -> None:
        if self.offset.value.data < 0:
            raise VerifyException(f"positions start at 0 or more, found {self.offset.value.data}")
        if len(shape_of(self.result)) != 1 or self.result.type.element_type != i32:
            raise VerifyException(f"positions are tensor<?xi32>, found {self.result.type}")


def check_sinusoid(columns: int) -> None:
    """Raises VerifyException if a row of so many columns is not defined."""
    if columns < LEAST_SINUSOID or columns % 2:
        raise VerifyException(f"a sinusoid has an even number of columns, {LEAST_SINUSOID} or more, found {columns}")


@irdl_op_definition
class SinusoidOp(IRDLOperation):
    """Row t of [T, d]: sin(a_j), then cos(a_j), a_j = positions[t] * 10000 ** (-j / (d/2 - 1)), j < d/2."""

    name = "slm.sinusoid"
    positions = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$positions attr-dict `:` type($positions) `->` type($result)"

    def verify_(self) -> None:
        positions, result = shape_of(self.positions), shape_of(self.result)
        if len(positions) != 1 or result[:-1] != positions:
            raise VerifyException(f"sinusoid of positions {positions} gives {result}")
        check_sinusoid(result[-1])
