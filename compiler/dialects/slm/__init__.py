"""slm: transformer operations on float tensors; what a checkpoint's architecture says, with nothing decided yet.

Tensors have the token count T as a dynamic first dimension. Matrices are stored [out, in]. Weights are never in the IR:
`#slm.weight<"layers.{i}.q.weight", tensor<64x72xbf16>>` names one, `{i}` being the index of the enclosing `slm.layers` and
`{e}` that of the enclosing `slm.mixture`.
"""

from __future__ import annotations

from xdsl.ir import Dialect, Operation

from compiler.dialects.slm.attention import AttentionOp
from compiler.dialects.slm.attributes import (
    ACTIVATIONS,
    EXPERT,
    LAYER,
    RotaryAttr,
    Shape,
    WeightAttr,
    shape_of,
    stored_name,
)
from compiler.dialects.slm.elementwise import (
    ActivationOp,
    AddOp,
    BinaryBase,
    BinaryOp,
    ConstantOp,
    DivOp,
    MulOp,
    SubOp,
    broadcast,
)
from compiler.dialects.slm.layers import LayersOp, YieldOp
from compiler.dialects.slm.mixture import MixtureOp, is_expert_column
from compiler.dialects.slm.routing import MOST_CHOSEN, ColumnOp, ReduceSumOp, SoftmaxOp, TopKOp
from compiler.dialects.slm.rows import EmbeddingOp, LinearOp, RmsNormOp, RopeOp

__all__ = [
    "ACTIVATIONS", "EXPERT", "LAYER", "MOST_CHOSEN", "STRUCTURE_OPS", "ActivationOp", "AddOp", "AttentionOp", "BinaryBase", "BinaryOp",
    "ColumnOp", "ConstantOp", "DivOp", "EmbeddingOp", "LayersOp", "LinearOp", "MixtureOp", "MulOp", "ReduceSumOp",
    "RmsNormOp", "RopeOp", "RotaryAttr", "Shape", "Slm", "SoftmaxOp", "SubOp", "TopKOp", "WeightAttr", "YieldOp",
    "broadcast", "is_expert_column", "shape_of", "stored_name",
]  # fmt: skip

SLM_OPS: list[type[Operation]] = [
    EmbeddingOp, LinearOp, RmsNormOp, RopeOp, AttentionOp, ActivationOp, ConstantOp, SoftmaxOp, ReduceSumOp, TopKOp, ColumnOp,
    AddOp, SubOp, MulOp, DivOp, LayersOp, MixtureOp, YieldOp,
]  # fmt: skip
STRUCTURE_OPS = (LayersOp, MixtureOp, YieldOp)
"""What stays around the operations of slmq."""
Slm = Dialect("slm", SLM_OPS, [WeightAttr, RotaryAttr])
