"""slm: transformer operations on float tensors; what a checkpoint's architecture says, with nothing decided yet.

Tensors have the token count T as a dynamic first dimension. Matrices are stored [out, in]. Weights are never in the IR:
`#slm.weight<"layers.{i}.q.weight", tensor<64x72xbf16>>` names one, `{i}` being the index of the enclosing `slm.layers`.
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
    has_tokens,
    row_shape,
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
from compiler.dialects.slm.images import (
    ConcatBase,
    ConcatOp,
    FullAttentionOp,
    L2NormalizeBase,
    L2NormalizeOp,
    PatchesBase,
    PatchesOp,
    ReplaceBase,
    ReplaceOp,
    check_full_attention,
    concat_shape,
    patches_shape,
)
from compiler.dialects.slm.layers import LayersOp, YieldOp, at_layer
from compiler.dialects.slm.mixture import MixtureOp, is_expert_column
from compiler.dialects.slm.norms import LayerNormOp, RmsNormOp
from compiler.dialects.slm.positions import PositionsOp, SinusoidOp, check_sinusoid
from compiler.dialects.slm.recurrent import CausalConvOp, SelectiveScanOp
from compiler.dialects.slm.routing import MOST_CHOSEN, ColumnOp, ReduceSumOp, SoftmaxOp, TopKOp
from compiler.dialects.slm.rows import EmbeddingOp, LinearOp, RopeOp
from compiler.dialects.slm.tensors import TensorOp

__all__ = [
    "ACTIVATIONS", "EXPERT", "LAYER", "MOST_CHOSEN", "STRUCTURE_OPS", "ActivationOp", "AddOp", "AttentionOp",
    "BinaryBase", "BinaryOp", "CausalConvOp", "ColumnOp", "ConstantOp", "DivOp", "EmbeddingOp", "LayerNormOp",
    "LayersOp", "LinearOp", "MixtureOp", "MulOp", "PositionsOp", "ReduceSumOp", "RmsNormOp", "RopeOp", "RotaryAttr",
    "SelectiveScanOp", "Shape", "SinusoidOp", "Slm", "SoftmaxOp", "SubOp", "TensorOp", "TopKOp", "WeightAttr",
    "YieldOp", "at_layer", "broadcast", "check_sinusoid", "has_tokens", "is_expert_column", "row_shape", "shape_of",
    "stored_name",
    "ConcatBase", "ConcatOp", "FullAttentionOp", "L2NormalizeBase", "L2NormalizeOp", "PatchesBase", "PatchesOp",
    "ReplaceBase", "ReplaceOp", "check_full_attention", "concat_shape", "patches_shape",
]  # fmt: skip

SLM_OPS: list[type[Operation]] = [
    EmbeddingOp, PositionsOp, SinusoidOp, LinearOp, RmsNormOp, LayerNormOp, RopeOp, AttentionOp, ActivationOp,
    ConstantOp, AddOp, SubOp, MulOp, DivOp, TensorOp, LayersOp, SoftmaxOp, ReduceSumOp, TopKOp, ColumnOp, MixtureOp,
    CausalConvOp, SelectiveScanOp, YieldOp,
    PatchesOp, ConcatOp, L2NormalizeOp, FullAttentionOp, ReplaceOp,
]  # fmt: skip
STRUCTURE_OPS = (LayersOp, MixtureOp, YieldOp)
"""What stays around the operations of slmq."""
Slm = Dialect("slm", SLM_OPS, [WeightAttr, RotaryAttr])
