"""Fusion groups: strips of columns."""

from __future__ import annotations

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    irdl_op_definition,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import IsTerminator
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slmq.matrix import MatmulOp


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a strips region."""

    name = "slmq.yield"
    values = var_operand_def(AnyAttr())
    traits = traits_def(IsTerminator())
    assembly_format = "$values attr-dict `:` type($values)"


@irdl_op_definition
class StripsOp(IRDLOperation):
    """A fusion group: its matmuls and the elementwise ops and sampler behind them are computed by strips of columns.

    The values are those of the ops inlined; only the order of work differs. Values from outside may be used inside.
    """

    name = "slmq.strips"
    columns = prop_def(IntegerAttr[i64])
    body = region_def("single_block")
    outs = var_result_def(AnyAttr())
    assembly_format = "$columns $body attr-dict `:` type($outs)"

    def verify_(self) -> None:
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or [v.type for v in last.values] != [out.type for out in self.outs]:
            raise VerifyException("strips yields the values it results in")
        for op in self.body.block.ops:
            if isinstance(op, MatmulOp) and op.rows != self.columns.value.data:
                raise VerifyException(f"strips over {self.columns.value.data} columns holds a matmul of {op.rows}")
