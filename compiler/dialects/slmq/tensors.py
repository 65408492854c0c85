"""Weights used as values, in exact f32."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType, f32
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import WeightAttr


@irdl_op_definition
class TensorOp(IRDLOperation):
    """The values of a weight in f32, the same for every token."""

    name = "slmq.tensor"
    weight = prop_def(WeightAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "qualified($weight) attr-dict `:` type($result)"

    def verify_(self) -> None:
        expected = TensorType(f32, self.weight.shape)
        if self.result.type != expected:
            raise VerifyException(f"the values of this weight are {expected}, found {self.result.type}")
