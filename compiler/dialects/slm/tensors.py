"""Weights used as values."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import Shape, WeightAttr, shape_of


@irdl_op_definition
class TensorOp(IRDLOperation):
    """The values of a weight. They have no token count: every token reads the same ones."""

    name = "slm.tensor"
    weight = prop_def(WeightAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "qualified($weight) attr-dict `:` type($result)"

    def verify_(self) -> None:
        if shape_of(self.result) != self.weight.shape:
            raise VerifyException(f"a weight of {Shape(self.weight.shape)} has no values {shape_of(self.result)}")
