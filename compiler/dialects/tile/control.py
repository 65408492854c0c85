"""Scalars in SMEM, and what the host is told."""

from __future__ import annotations

from xdsl.dialects.builtin import (
    IndexType,
    IntegerAttr,
    i64,
)
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    prop_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.tile.memory import BufferType
from isa.spec import SMEM_WIDTHS


def check_width(op: str, width: int) -> None:
    if str(width) not in SMEM_WIDTHS:
        raise VerifyException(f"{op} moves {', '.join(SMEM_WIDTHS)} bytes, found {width}")


@irdl_op_definition
class LdsOp(IRDLOperation):
    """Reads `width` bytes of SMEM: at an address, or within a buffer."""

    name = "tile.lds"
    buffer = opt_operand_def(BufferType)
    address = opt_operand_def(IndexType)
    width = prop_def(IntegerAttr[i64])
    displacement = prop_def(IntegerAttr[i64])
    result = result_def(IndexType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = "$width (`of` $buffer^)? (`at` $address^)? `+` $displacement attr-dict `:` type($result)"

    def verify_(self) -> None:
        check_width(self.name, self.width.value.data)


@irdl_op_definition
class StsOp(IRDLOperation):
    """Writes `width` bytes of SMEM: at an address, or within a buffer."""

    name = "tile.sts"
    value = operand_def(IndexType)
    buffer = opt_operand_def(BufferType)
    address = opt_operand_def(IndexType)
    width = prop_def(IntegerAttr[i64])
    displacement = prop_def(IntegerAttr[i64])
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = "$width $value (`of` $buffer^)? (`at` $address^)? `+` $displacement attr-dict"

    def verify_(self) -> None:
        check_width(self.name, self.width.value.data)


@irdl_op_definition
class EventOp(IRDLOperation):
    """Posts (kind, value) to the host."""

    name = "tile.event"
    value = operand_def(IndexType)
    kind = prop_def(IntegerAttr[i64])
    assembly_format = "$kind $value attr-dict"


@irdl_op_definition
class MarkOp(IRDLOperation):
    """Labels a point of the profile."""

    name = "tile.mark"
    value = operand_def(IndexType)
    label = prop_def(IntegerAttr[i64])
    assembly_format = "$label $value attr-dict"


@irdl_op_definition
class TrapOp(IRDLOperation):
    """Stops with cause PROGRAM."""

    name = "tile.trap"
    code = prop_def(IntegerAttr[i64])
    assembly_format = "$code attr-dict"
