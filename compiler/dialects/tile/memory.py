"""Buffers, views of memory, and places in DRAM."""

from __future__ import annotations

from xdsl.dialects.builtin import (
    IntegerAttr,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import ParametrizedAttribute, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException

from isa.spec import Dtype, Region

DYNAMIC = -(1 << 62)  # an extent or stride given by an operand
SPACES = {region.name.lower(): region for region in Region}
DTYPES = {dtype.name.lower(): dtype for dtype in Dtype}


@irdl_attr_definition
class BufferType(ParametrizedAttribute, TypeAttribute):
    """A buffer in SRAM or SMEM; its alloc op knows how many bytes."""

    name = "tile.buffer"


@irdl_attr_definition
class ViewType(ParametrizedAttribute, TypeAttribute):
    """What a tensor descriptor says."""

    name = "tile.view"


@irdl_op_definition
class AllocOp(IRDLOperation):
    """`size_bytes` bytes of `space` (sram or smem). `stream`: filled anew in each iteration of its loop, so double-buffer may rotate it.
    `carried`: an iteration of the loop behind it fills it for the next one (see RenewOp).
    """

    name = "tile.alloc"
    label = prop_def(StringAttr)
    space = prop_def(StringAttr)
    size_bytes = prop_def(IntegerAttr[i64])
    stream = opt_prop_def(UnitAttr)
    carried = opt_prop_def(UnitAttr)
    offset = opt_prop_def(IntegerAttr[i64])
    result = result_def(BufferType)
    assembly_format = (
        "$label `in` $space `bytes` $size_bytes (`stream` $stream^)? (`carried` $carried^)? (`at` $offset^)?"
        " attr-dict `:` type($result)"
    )

    def verify_(self) -> None:
        if self.space.data not in ("sram", "smem"):
            raise VerifyException(f'a buffer is in sram or smem, found "{self.space.data}"')
        if self.size_bytes.value.data < 1:
            raise VerifyException(f"a buffer has at least 1 byte, found {self.size_bytes.value.data}")


@irdl_op_definition
class RenewOp(IRDLOperation):
    """Nothing that a carried buffer holds is needed any more: from here on it is written anew. Between its last use and this op others may
    have its memory."""

    name = "tile.renew"
    buffer = operand_def(BufferType)
    assembly_format = "$buffer attr-dict"

    def verify_(self) -> None:
        alloc = self.buffer.owner
        if not isinstance(alloc, AllocOp) or alloc.carried is None:
            raise VerifyException("only a carried buffer is renewed")
