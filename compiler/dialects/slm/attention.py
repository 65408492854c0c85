"""Attention: the operation that mixes tokens."""

from __future__ import annotations

from xdsl.dialects.builtin import (
    Float64Type,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import shape_of
from compiler.dialects.slm.layers import ByLayer, check_by_layer


@irdl_op_definition
class AttentionOp(IRDLOperation):
    """Causal attention of q [T, H, hd] over k, v [T, G, hd]; head h reads head h // (H / G); owns the KV state `state`.

    With a window w, a query sees the w keys that end with its own. Scores are softcap(scale * q.k); with `layer_scales`
    layer i of the stack takes layer_scales[i] as its scale.
    """

    name = "slm.attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    scale = prop_def(FloatAttr[Float64Type])
    layer_scales = opt_prop_def(ByLayer)
    state = prop_def(StringAttr)
    window = opt_prop_def(IntegerAttr[i64])
    softcap = opt_prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$q `,` $k `,` $v `state` $state `scale` $scale (`by_layer` $layer_scales^)? (`window` $window^)? (`softcap` $softcap^)? attr-dict"
        " `:` type($q) `,` type($k) `,` type($v) `->` type($result)"
    )

    def verify_(self) -> None:
        q, k, v = shape_of(self.q), shape_of(self.k), shape_of(self.v)
        if len(q) != 3 or k != v or q[2] != k[2] or q[1] % k[1]:
            raise VerifyException(f"attention takes q [T, H, hd], k and v [T, G, hd], found {q}, {k}, {v}")
        if self.window is not None and self.window.value.data < 1:
            raise VerifyException(f"a window is at least 1, found {self.window.value.data}")
        check_by_layer(self, self.layer_scales)
