"""slm: transformer operations on float tensors; what a checkpoint's architecture says, with nothing decided yet.

Tensors have the token count T as a dynamic first dimension. Matrices are stored [out, in]. Weights are never in the IR:
`#slm.weight<"layers.{i}.q.weight", tensor<64x72xbf16>>` names one, `{i}` being the index of the enclosing `slm.layers`.
"""

from __future__ import annotations

from xdsl.ir import Dialect, Operation

from compiler.dialects.slm.attention import AttentionOp
from compiler.dialects.slm.attributes import (
    ACTIVATIONS,
    LAYER,
    RotaryAttr,
    Shape,
    WeightAttr,
    has_tokens,
    row_shape,
    shape_of,
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
from compiler.dialects.slm.layers import LayersOp, YieldOp
from compiler.dialects.slm.norms import LayerNormOp, RmsNormOp
from compiler.dialects.slm.positions import PositionsOp, SinusoidOp, check_sinusoid
from compiler.dialects.slm.rows import EmbeddingOp, LinearOp, RopeOp
from compiler.dialects.slm.tensors import TensorOp

__all__ = [
    "ACTIVATIONS", "LAYER", "ActivationOp", "AddOp", "AttentionOp", "BinaryBase", "BinaryOp", "ConstantOp", "DivOp",
    "EmbeddingOp", "LayerNormOp", "LayersOp", "LinearOp", "MulOp", "PositionsOp", "RmsNormOp", "RopeOp", "RotaryAttr",
    "Shape", "SinusoidOp", "Slm", "SubOp", "TensorOp", "WeightAttr", "YieldOp", "broadcast", "check_sinusoid",
    "has_tokens", "row_shape", "shape_of",
    "ConcatBase", "ConcatOp", "FullAttentionOp", "L2NormalizeBase", "L2NormalizeOp", "PatchesBase", "PatchesOp",
    "ReplaceBase", "ReplaceOp", "check_full_attention", "concat_shape", "patches_shape",
]  # fmt: skip

SLM_OPS: list[type[Operation]] = [
    EmbeddingOp, PositionsOp, SinusoidOp, LinearOp, RmsNormOp, LayerNormOp, RopeOp, AttentionOp, ActivationOp,
    ConstantOp, AddOp, SubOp, MulOp, DivOp, TensorOp, LayersOp, YieldOp,
    PatchesOp, ConcatOp, L2NormalizeOp, FullAttentionOp, ReplaceOp,
]  # fmt: skip
Slm = Dialect("slm", SLM_OPS, [WeightAttr, RotaryAttr])
