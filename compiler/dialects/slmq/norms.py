"""Norms, in exact f32."""

from __future__ import annotations

from xdsl.dialects.builtin import Float64Type, FloatAttr
from xdsl.irdl import irdl_op_definition, prop_def
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.norms import LayerNormBase, NormBase
from compiler.dialects.slmq.formats import element_of


def check_f32(op: NormBase) -> None:
    """Raises VerifyException if the norm is of another element type."""
    if element_of(op.x.type) != "f32":
        raise VerifyException(f"{op.kind} works on f32, found {op.x.type}")


@irdl_op_definition
class RmsNormOp(NormBase):
    """(x / sqrt(sum_fp(x*x) * (1/d) + eps)) * (w + offset)."""

    name = "slmq.rms_norm"
    offset = prop_def(FloatAttr[Float64Type])
    assembly_format = (
        "$x `,` qualified($weight) `eps` $eps `offset` $offset `axes` $axes (`per` $per^)? attr-dict `:` type($x)"
    )

    def verify_(self) -> None:
        super().verify_()
        check_f32(self)


@irdl_op_definition
class LayerNormOp(LayerNormBase):
    """c = x - sum_fp(x) * (1/d); ((c / sqrt(sum_fp(c*c) * (1/d) + eps)) * w) + b."""

    name = "slmq.layer_norm"

    def verify_(self) -> None:
        super().verify_()
        check_f32(self)
