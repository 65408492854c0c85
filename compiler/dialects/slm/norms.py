"""Norms: over the last dimensions of a value, row by row."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from xdsl.dialects.builtin import Float64Type, FloatAttr, IntegerAttr, i64
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

from compiler.dialects.slm.attributes import WeightAttr, shape_of


class NormBase(IRDLOperation):
    """Normalises over the last `axes` dimensions; the `per` dimensions before them have weights of their own.

    Base of the norms of two dialects.
    """

    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    weight = prop_def(WeightAttr)
    eps = prop_def(FloatAttr[Float64Type])
    axes = prop_def(IntegerAttr[i64])
    per = opt_prop_def(IntegerAttr[i64])
    result = result_def(T)
    traits = traits_def(Pure())

    @property
    def owners(self) -> int:
        """How many dimensions before the normalised ones have weights of their own."""
        return 0 if self.per is None else self.per.value.data

    @property
    def kind(self) -> str:
        """The name without the dialect, for messages."""
        return self.name.split(".")[1]

    def verify_(self) -> None:
        axes, owners, shape = self.axes.value.data, self.owners, shape_of(self.x)
        if axes < 1 or owners < 0 or axes + owners >= len(shape):
            per = f" per {owners}" if owners else ""
            raise VerifyException(f"{self.kind} over {axes} dimensions{per} of {shape}")
        if prod(self.weight.shape) != prod(shape[-axes - owners :]):
            raise VerifyException(f"{self.kind} of {shape} has a weight of shape {self.weight.shape}")


@irdl_op_definition
class RmsNormOp(NormBase):
    """x / sqrt(mean(x^2) + eps) * (w + offset)."""

    name = "slm.rms_norm"
    offset = prop_def(FloatAttr[Float64Type])
    assembly_format = (
        "$x `,` qualified($weight) `eps` $eps `offset` $offset `axes` $axes (`per` $per^)? attr-dict `:` type($x)"
    )


class LayerNormBase(NormBase):
    """(x - mean) / sqrt(mean((x - mean)^2) + eps) * w + b; the bias has the shape of the weight."""

    bias = opt_prop_def(WeightAttr)
    assembly_format = (
        "$x `,` qualified($weight) (`bias` qualified($bias)^)? `eps` $eps `axes` $axes (`per` $per^)?"
        " attr-dict `:` type($x)"
    )

    def verify_(self) -> None:
        super().verify_()
        if self.bias is not None and prod(self.bias.shape) != prod(self.weight.shape):
            raise VerifyException(f"{self.kind} has a weight of {self.weight.shape} and a bias of {self.bias.shape}")


@irdl_op_definition
class LayerNormOp(LayerNormBase):
    name = "slm.layer_norm"
