"""slmq: the same model with exact numbers: every value has an element type, every rounding is an op.

docs/numerics.md section 8 gives one formula per op. A function of this level is one step: it processes the
T tokens of a chunk at positions pos .. pos+T-1, and attention owns its key-value state between steps.
"""

from __future__ import annotations

from xdsl.ir import Dialect, Operation

from compiler.dialects.slmq.attention import AttentionOp
from compiler.dialects.slmq.elementwise import (
    BINARY_FUNCTIONS,
    ActivationOp,
    AddOp,
    DivOp,
    MulOp,
    OffsetOp,
    ScaleOp,
    SubOp,
)
from compiler.dialects.slmq.formats import QuantizeOp, RoundOp, element_of
from compiler.dialects.slmq.images import (
    ConcatOp,
    FullAttentionOp,
    L2NormalizeOp,
    PatchesOp,
    ReplaceOp,
    RowsOp,
    of_chunk,
)
from compiler.dialects.slmq.matrix import GroupSumsOp, MatmulOp
from compiler.dialects.slmq.norms import LayerNormOp, RmsNormOp
from compiler.dialects.slmq.positions import PositionRowsOp, SinusoidOp
from compiler.dialects.slmq.recurrent import CausalConvOp, SelectiveScanOp
from compiler.dialects.slmq.routing import ColumnOp, ReduceSumOp, SoftmaxOp, TopKOp
from compiler.dialects.slmq.rows import EmbedOp, RopeOp
from compiler.dialects.slmq.sampling import SampleOp, SelectRowsOp
from compiler.dialects.slmq.strips import StripsOp, YieldOp
from compiler.dialects.slmq.tensors import TensorOp

__all__ = [
    "BINARY_FUNCTIONS", "MIXING_OPS", "ActivationOp", "AddOp", "AttentionOp", "CausalConvOp",
    "ColumnOp", "DivOp", "EmbedOp", "GroupSumsOp", "LayerNormOp", "MatmulOp", "MulOp", "OffsetOp", "PositionRowsOp", "QuantizeOp",
    "ReduceSumOp", "RmsNormOp", "RopeOp", "RoundOp", "SampleOp", "ScaleOp", "SelectRowsOp", "SelectiveScanOp",
    "SinusoidOp", "Slmq", "SoftmaxOp", "StripsOp", "SubOp", "TensorOp", "TopKOp", "YieldOp", "element_of",
    "ConcatOp", "FullAttentionOp", "L2NormalizeOp", "PatchesOp", "ReplaceOp", "RowsOp", "of_chunk",
]  # fmt: skip

SLMQ_OPS: list[type[Operation]] = [
    EmbedOp, PositionRowsOp, SinusoidOp, RmsNormOp, LayerNormOp, QuantizeOp, RoundOp, GroupSumsOp, MatmulOp, RopeOp, ScaleOp,
    OffsetOp, ActivationOp, AddOp, SubOp, MulOp, DivOp, AttentionOp, SelectRowsOp, SampleOp, StripsOp, TensorOp,
    SoftmaxOp, ReduceSumOp, TopKOp, ColumnOp, CausalConvOp, SelectiveScanOp, YieldOp,
    PatchesOp, ConcatOp, L2NormalizeOp, FullAttentionOp, ReplaceOp, RowsOp,
]  # fmt: skip
MIXING_OPS = (AttentionOp, CausalConvOp, SelectiveScanOp)
"""Those whose row of a token depends on other tokens, through a state. All other ops work row by row."""
Slmq = Dialect("slmq", SLMQ_OPS, [])
