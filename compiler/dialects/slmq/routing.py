"""Operations on the last dimension, in exact f32: docs/numerics.md sections 8 and 11."""

from __future__ import annotations

from xdsl.irdl import irdl_op_definition

from compiler.dialects.slm.routing import ColumnBase, ReduceSumBase, SoftmaxBase, TopKBase


@irdl_op_definition
class SoftmaxOp(SoftmaxBase):
    name = "slmq.softmax"


@irdl_op_definition
class ReduceSumOp(ReduceSumBase):
    name = "slmq.reduce_sum"


@irdl_op_definition
class TopKOp(TopKBase):
    name = "slmq.top_k"


@irdl_op_definition
class ColumnOp(ColumnBase):
    name = "slmq.column"
