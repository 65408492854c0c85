"""Operations that carry a state from token to token."""

from __future__ import annotations

from math import prod
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
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import WeightAttr, has_tokens, row_shape, shape_of


def check_convolution(x: SSAValue, weight: WeightAttr, bias: WeightAttr | None) -> None:
    """x [T, ..] of as many channels as the weight [channels, K] and the bias [channels]."""
    channels = prod(row_shape(x))
    if not has_tokens(x) or len(weight.shape) != 2 or weight.shape[0] != channels:
        raise VerifyException(f"a convolution of {shape_of(x)} has a weight of shape {weight.shape}")
    if bias is not None and prod(bias.shape) != channels:
        raise VerifyException(f"a convolution of {channels} channels has a bias of shape {bias.shape}")


def check_scan(u: SSAValue, dt: SSAValue, a: SSAValue, b: SSAValue, c: SSAValue) -> None:
    """u, dt [T, m], A [m, N], B, C [T, N]."""
    shapes = [shape_of(value) for value in (u, dt, a, b, c)]
    matrices = all(len(shape) == 2 for shape in shapes) and has_tokens(u) and has_tokens(b) and not has_tokens(a)
    same = shapes[0] == shapes[1] and shapes[3] == shapes[4]
    if not matrices or not same or shapes[2] != (shapes[0][1], shapes[3][1]):
        found = ", ".join(map(str, shapes))
        raise VerifyException(f"a scan takes u, dt [T, m], A [m, N], B, C [T, N], found {found}")


@irdl_op_definition
class CausalConvOp(IRDLOperation):
    """Depthwise: y[t, c] = sum_j w[c, j] x[t - K + 1 + j, c] + b[c]; rows before the first are 0. Owns the last K - 1 rows."""

    name = "slm.causal_conv"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    state = prop_def(StringAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($weight) (`bias` qualified($bias)^)? `state` $state attr-dict `:` type($x)"

    def verify_(self) -> None:
        check_convolution(self.x, self.weight, self.bias)


@irdl_op_definition
class SelectiveScanOp(IRDLOperation):
    """h = exp(dt A) h + dt u B; y = h C, token after token. u, dt [T, m], A [m, N], B, C [T, N]; owns h [m, N], at first 0."""

    name = "slm.selective_scan"
    T: ClassVar = VarConstraint("T", AnyAttr())
    u = operand_def(T)
    dt = operand_def(T)
    a = operand_def(TensorType)
    b = operand_def(TensorType)
    c = operand_def(TensorType)
    state = prop_def(StringAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = (
        "$u `,` $dt `,` $a `,` $b `,` $c `state` $state attr-dict `:` type($u) `,` type($a) `,` type($b) `,` type($c)"
    )

    def verify_(self) -> None:
        check_scan(self.u, self.dt, self.a, self.b, self.c)
