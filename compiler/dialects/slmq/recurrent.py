"""Operations that carry a state from token to token, all in f32: docs/numerics.md section 12."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import StringAttr, TensorType
from xdsl.ir import SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import WeightAttr
from compiler.dialects.slm.recurrent import check_convolution, check_scan
from compiler.dialects.slmq.formats import element_of


def check_f32(what: str, *values: SSAValue) -> None:
    for value in values:
        if element_of(value.type) != "f32":
            raise VerifyException(f"{what} works on f32, found {value.type}")


@irdl_op_definition
class CausalConvOp(IRDLOperation):
    """A product per tap, added in ascending order, then the bias. Owns the last K - 1 rows of x, which at position 0 are +0."""

    name = "slmq.causal_conv"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    state = prop_def(StringAttr)
    result = result_def(T)
    assembly_format = "$x `,` qualified($weight) (`bias` qualified($bias)^)? `state` $state attr-dict `:` type($x)"

    @property
    def taps(self) -> int:
        return self.weight.shape[1]

    def verify_(self) -> None:
        check_convolution(self.x, self.weight, self.bias)
        check_f32("a convolution", self.x)


@irdl_op_definition
class SelectiveScanOp(IRDLOperation):
    """h = (h * exp(dt * A)) + ((dt * u) * B); y = sum_fp over n of h * C. Owns h, which at position 0 is +0."""

    name = "slmq.selective_scan"
    T: ClassVar = VarConstraint("T", AnyAttr())
    u = operand_def(T)
    dt = operand_def(T)
    a = operand_def(TensorType)
    b = operand_def(TensorType)
    c = operand_def(TensorType)
    state = prop_def(StringAttr)
    result = result_def(T)
    assembly_format = (
        "$u `,` $dt `,` $a `,` $b `,` $c `state` $state attr-dict `:` type($u) `,` type($a) `,` type($b) `,` type($c)"
    )

    def verify_(self) -> None:
        check_scan(self.u, self.dt, self.a, self.b, self.c)
        check_f32("a scan", self.u, self.a, self.b, self.c)
