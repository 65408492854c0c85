"""Attention over the key-value state."""

from __future__ import annotations

from xdsl.dialects.builtin import Float64Type, FloatAttr, IntegerAttr, StringAttr, TensorType, UnitAttr, i64
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import shape_of
from compiler.dialects.slmq.formats import element_of


@irdl_op_definition
class AttentionOp(IRDLOperation):
    """Appends k, v to the state, then attends from q (already scaled): docs/numerics.md section 9.

    q [T, H, hd] and the probabilities are f32, f16 or bf16; k, v [T, G, hd] have the state's element type; int8
    ones come with a scale per token and head, [T, G, 1]. `int4`: the state keeps whole blocks of the bf16 rows in int4.
    """

    name = "slmq.attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    k_scale = opt_operand_def(TensorType)
    v_scale = opt_operand_def(TensorType)
    state = prop_def(StringAttr)
    int4 = opt_prop_def(UnitAttr)
    window = opt_prop_def(IntegerAttr[i64])
    softcap = opt_prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = (
        "$q `,` $k `,` $v (`scales` $k_scale^ `,` $v_scale)? `state` $state (`int4` $int4^)? (`window` $window^)? (`softcap` $softcap^)?"
        " attr-dict `:` type($q) `,` type($k) `,` type($v)"
        " (`scales` type($k_scale)^ `,` type($v_scale))? `->` type($result)"
    )

    def verify_(self) -> None:
        q, k, v = shape_of(self.q), shape_of(self.k), shape_of(self.v)
        if len(q) != 3 or k != v or q[2] != k[2] or q[1] % k[1]:
            raise VerifyException(f"attention takes q [T, H, hd], k and v [T, G, hd], found {q}, {k}, {v}")
        pair = (element_of(self.q.type), element_of(self.k.type))
        if pair not in (("f32", "f32"), ("f16", "f16"), ("bf16", "bf16"), ("bf16", "i8")) or self.k.type != self.v.type:
            raise VerifyException(f"attention of {self.q.type} over {self.k.type} and {self.v.type} is not defined")
        scaled = self.k_scale is not None and self.v_scale is not None
        if (pair[1] == "i8") != scaled:
            raise VerifyException("int8 keys and values, and only those, come with scales")
        if self.int4 is not None and pair != ("bf16", "bf16"):
            raise VerifyException(f"a state in int4 takes bf16 keys and values, found {self.k.type}")
        if element_of(self.result.type) != "f32" or shape_of(self.result) != q:
            raise VerifyException("attention gives f32 of the shape of q")
