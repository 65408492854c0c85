"""Operations on a fixed number of rows, an image and what is made of it, in exact f32; and regions worked on by chunks of rows."""

from __future__ import annotations

from xdsl.dialects.builtin import DYNAMIC_INDEX, Float64Type, FloatAttr, TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import shape_of
from compiler.dialects.slm.images import (
    ConcatBase,
    L2NormalizeBase,
    PatchesBase,
    ReplaceBase,
    check_full_attention,
)
from compiler.dialects.slmq.formats import element_of
from compiler.dialects.slmq.strips import YieldOp


@irdl_op_definition
class PatchesOp(PatchesBase):
    name = "slmq.patches"


@irdl_op_definition
class ConcatOp(ConcatBase):
    name = "slmq.concat"


@irdl_op_definition
class L2NormalizeOp(L2NormalizeBase):
    name = "slmq.l2_normalize"


@irdl_op_definition
class ReplaceOp(ReplaceBase):
    name = "slmq.replace"


@irdl_op_definition
class FullAttentionOp(IRDLOperation):
    """Attention from q [n, H, hd], already scaled, over all of k, v [m, G, hd]: docs/numerics.md section 9.

    q, k, v and the probabilities are f32, f16 or bf16; the result is f32.
    """

    name = "slmq.full_attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    softcap = opt_prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$q `,` $k `,` $v (`softcap` $softcap^)? attr-dict `:` type($q) `,` type($k) `,` type($v) `->` type($result)"
    )

    def verify_(self) -> None:
        check_full_attention("full_attention", *(shape_of(x) for x in (self.q, self.k, self.v, self.result)))
        elements = {element_of(value.type) for value in (self.q, self.k, self.v)}
        if elements not in ({"f32"}, {"f16"}, {"bf16"}) or element_of(self.result.type) != "f32":
            raise VerifyException(
                f"full_attention of {self.q.type} over {self.k.type} and {self.v.type} is not defined"
            )


def of_chunk(value: SSAValue) -> TensorType[Attribute]:
    """The type of a chunk of a tensor's rows: the first dimension is not known."""
    if not isinstance(value.type, TensorType):
        raise VerifyException(f"expected a tensor, found {value.type}")
    return TensorType(value.type.element_type, (DYNAMIC_INDEX, *shape_of(value)[1:]))


@irdl_op_definition
class RowsOp(IRDLOperation):
    """Work row by row, on some rows at a time: the operands are read row by row, one region argument each.

    Inside, the first dimension is the number of rows in a chunk, any number; the values are those of the ops inlined, only
    the order of work differs. Values from outside may be used inside where whole tensors are read: keys and values.
    """

    name = "slmq.rows"
    operands_read = var_operand_def(TensorType)
    body = region_def("single_block")
    outs = var_result_def(TensorType)
    assembly_format = "`(` $operands_read `)` $body attr-dict `:` type($operands_read) `->` type($outs)"

    @property
    def rows(self) -> int:
        return shape_of(self.outs[0])[0]

    def verify_(self) -> None:
        last, args = self.body.block.last_op, self.body.block.args
        if not isinstance(last, YieldOp) or [v.type for v in last.values] != [of_chunk(out) for out in self.outs]:
            raise VerifyException("rows yields chunks of the values it results in")
        if [arg.type for arg in args] != [of_chunk(value) for value in self.operands_read]:
            raise VerifyException("a rows region takes chunks of the values of the rows op")
        counts = {shape_of(value)[0] for value in (*self.operands_read, *self.outs)}
        if not self.outs or len(counts) != 1 or min(counts) == 0:
            raise VerifyException(f"rows works on one number of rows, found {sorted(counts)}")
