"""slm: transformer operations on float tensors; what a checkpoint's architecture says, with nothing decided yet.

Tensors have the token count T as a dynamic first dimension. Matrices are stored [out, in]. Weights are never in the IR:
`#slm.weight<"layers.{i}.q.weight", tensor<64x72xbf16>>` names one, `{i}` being the index of the enclosing `slm.layers`.
"""

from __future__ import annotations

from xdsl.ir import Dialect, Operation

from compiler.dialects.slm.attention import AttentionOp
from compiler.dialects.slm.attributes import ACTIVATIONS, LAYER, RotaryAttr, Shape, WeightAttr, shape_of
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
from compiler.dialects.slm.layers import LayersOp, YieldOp, at_layer
from compiler.dialects.slm.norms import LayerNormOp, RmsNormOp
from compiler.dialects.slm.positions import PositionsOp, SinusoidOp, check_sinusoid
from compiler.dialects.slm.rows import EmbeddingOp, LinearOp, RopeOp

__all__ = [
    "ACTIVATIONS", "LAYER", "ActivationOp", "AddOp", "AttentionOp", "BinaryBase", "BinaryOp", "ConstantOp", "DivOp",
    "EmbeddingOp", "LayerNormOp", "LayersOp", "LinearOp", "MulOp", "PositionsOp", "RmsNormOp", "RopeOp", "RotaryAttr",
    "Shape", "SinusoidOp", "Slm", "SubOp", "WeightAttr", "YieldOp", "at_layer", "broadcast", "check_sinusoid", "shape_of",
]  # fmt: skip

SLM_OPS: list[type[Operation]] = [
    EmbeddingOp, PositionsOp, SinusoidOp, LinearOp, RmsNormOp, LayerNormOp, RopeOp, AttentionOp, ActivationOp,
    ConstantOp, AddOp, SubOp, MulOp, DivOp, LayersOp, YieldOp,
]  # fmt: skip
Slm = Dialect("slm", SLM_OPS, [WeightAttr, RotaryAttr])
