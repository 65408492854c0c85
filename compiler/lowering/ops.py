"""The ops of a body in order: the lowering that each kind has, what is loaded ahead of them, and what runs beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation

from compiler.dialects import slm, slmq
from compiler.errors import CompileError
from compiler.locations import named, source_of
from compiler.lowering.ahead import Ahead, located
from compiler.lowering.attention import loads_between_groups, lower_attention
from compiler.lowering.builder import Index
from compiler.lowering.early_strips import EarlyStrips, can_come_early, follows
from compiler.lowering.elementwise import lower_elementwise, lower_group_sums, lower_quantize, lower_round
from compiler.lowering.images import lower_l2_normalize, lower_replace
from compiler.lowering.late_rows import lower_late_rows
from compiler.lowering.layers import lower_layers
from compiler.lowering.mixture import lower_mixture
from compiler.lowering.norms import lower_layer_norm, lower_rms_norm
from compiler.lowering.parts import Parts
from compiler.lowering.plan import EARLY_ATTENTION, EARLY_GROUPS, EARLY_NARROW, EARLY_REGIONS, EARLY_WIDE
from compiler.lowering.positions import lower_position_rows, lower_sinusoid
from compiler.lowering.recurrent import lower_causal_conv, lower_selective_scan
from compiler.lowering.routing import lower_column, lower_reduce_sum, lower_softmax, lower_top_k
from compiler.lowering.row_regions import is_wide
from compiler.lowering.row_stages import lower_rows
from compiler.lowering.rows import lower_embed, lower_rope, lower_select_rows
from compiler.lowering.rows_beside import RowsBeside, region_beside
from compiler.lowering.sampling import chosen_rows, lower_sample
from compiler.lowering.strip_shapes import is_late
from compiler.lowering.strip_streams import streams_of
from compiler.lowering.strips import lower_strips
from compiler.lowering.tensors import lower_tensor
from compiler.lowering.values import Lowering, Upcoming

LOWERINGS: dict[type[Operation], Callable[[Lowering, Any], None]] = {
    slmq.EmbedOp: lower_embed,
    slmq.PositionRowsOp: lower_position_rows,
    slmq.SinusoidOp: lower_sinusoid,
    slmq.RmsNormOp: lower_rms_norm,
    slmq.LayerNormOp: lower_layer_norm,
    slmq.QuantizeOp: lower_quantize,
    slmq.GroupSumsOp: lower_group_sums,
    slmq.RoundOp: lower_round,
    slmq.RopeOp: lower_rope,
    slmq.AttentionOp: lower_attention,
    slmq.SoftmaxOp: lower_softmax,
    slmq.ReduceSumOp: lower_reduce_sum,
    slmq.TopKOp: lower_top_k,
    slmq.ColumnOp: lower_column,
    slmq.CausalConvOp: lower_causal_conv,
    slmq.SelectiveScanOp: lower_selective_scan,
    slmq.StripsOp: lower_strips,
    slmq.SampleOp: lower_sample,
    slmq.TensorOp: lower_tensor,
    slmq.ReplaceOp: lower_replace,
    slmq.L2NormalizeOp: lower_l2_normalize,
    **dict.fromkeys((slmq.ScaleOp, slmq.OffsetOp, slmq.ActivationOp, *slmq.BINARY_FUNCTIONS), lower_elementwise),
}

LOOKING_AHEAD = (slmq.StripsOp, slmq.AttentionOp)
"""Ops that keep DRAM busy, and know where in them the loads of others can begin."""


def lower_block(low: Lowering, block: Block, then: Upcoming | None = None) -> None:
    """The ops of a layer or function body, in order; those behind select_rows run only if rows are wanted. `then`: what is loaded
    behind them."""
    if low.plan.tokens:
        Parts(low, block, lower_ops, lower_op).run()
        return
    lower_ops(low, [op for op in block.ops if not isinstance(op, slm.YieldOp | ReturnOp)], then)


def lower_ops(
    low: Lowering, ops: Sequence[Operation], then: Upcoming | None = None, wanted: Index | None = None
) -> None:
    """`wanted`: how many rows are selected, where that is known to be some."""
    beside: slmq.RowsOp | None = None
    for position, op in enumerate(ops):
        rest = ops[position + 1 :]
        if op is beside or (low.next_rows is not None and low.next_rows.is_done(op)):
            continue
        beside = region_beside(low.plan, op, rest)
        if beside is not None:
            lower_beside(low, op, beside)
        elif isinstance(op, slmq.SelectRowsOp):
            if wanted is None:
                lower_selected(low, op, ops[position:])
                return
            lower_select_rows(low, op, wanted)
        elif isinstance(op, slm.LayersOp):
            lower_op(low, op, rest)
        elif isinstance(op, slmq.RowsOp) and is_late(low.plan, op):
            with located(low, op):
                lower_late_rows(low, op)
        elif low.plan.early and isinstance(op, slmq.RowsOp):
            if low.plan.early & EARLY_REGIONS and waits_for_weights(low, rest):
                load_before(low, Ahead(low, rest, then))
            with located(low, op):
                lower_rows(low, op, lower_op, EarlyStrips.of(low, op, rest))
        elif isinstance(op, slmq.AttentionOp) and low.plan.spills:
            if low.plan.early & EARLY_ATTENTION:
                load_around(low, op, Ahead(low, rest, then))
            else:
                lower_op(low, op)
        elif low.plan.looks_ahead and isinstance(op, LOOKING_AHEAD) and (low.plan.ahead or comes_early(low, op, rest)):
            look_ahead(low, op, rest, then)
        else:
            lower_op(low, op)


def look_ahead(low: Lowering, op: Operation, rest: Sequence[Operation], then: Upcoming | None) -> None:
    """An op that issues loads of others, the `rest`, if it comes to the place for that."""
    begun, low.begun = low.begun, None
    ahead = begun or Ahead(low, rest, then, through=low.plan.ahead > 0 and isinstance(op, slmq.StripsOp))
    if ahead.is_empty:
        lower_op(low, op)
        return
    early = EarlyStrips.behind(low, op, ahead) if isinstance(op, slmq.StripsOp) else None
    if begun is None:
        ahead.allocate()
    if early is not None:
        early.begin()
        ahead.multiply = early.multiply_all
    low.upcoming = ahead
    lower_op(low, op)
    low.upcoming = None
    if ahead.begun and not ahead.is_loaded:
        ahead.load()
    if ahead.is_loaded:
        ahead.hand_over()
        low.begun = ahead.beyond
    elif early is not None:
        del low.early[early.op]


def lower_beside(low: Lowering, op: Operation, region: slmq.RowsOp) -> None:
    """A group of products, with a region of rows beside them."""
    assert isinstance(op, slmq.StripsOp)
    low.beside[op] = RowsBeside(low, op, region, lower_op)
    lower_op(low, op)


def comes_early(low: Lowering, op: Operation, following: Sequence[Operation]) -> bool:
    """Whether what follows the strips of a chunk of tokens is loaded before they are finished."""
    region = following[0] if following else None
    if region is None:
        return low.plan.looks_beyond_layers
    if isinstance(op, slmq.StripsOp) and follows(region, op):
        return low.plan.early & EARLY_GROUPS > 0
    if not isinstance(region, slmq.RowsOp):
        return False
    if is_late(low.plan, region):
        return True
    return low.plan.early & (EARLY_WIDE if is_wide(low.plan, region) else EARLY_NARROW) > 0


def waits_for_weights(low: Lowering, following: Sequence[Operation]) -> bool:
    """Whether a group of products comes next whose first strips are not on their way, but could be."""
    op = following[0] if following else None
    return isinstance(op, slmq.StripsOp) and op not in low.streams and can_come_early(streams_of(low, op), low)


def load_before(low: Lowering, ahead: Ahead) -> None:
    """Issues loads in front of an op that has no place for them."""
    ahead.allocate()
    ahead.load()
    ahead.hand_over()


def load_around(low: Lowering, op: slmq.AttentionOp, ahead: Ahead) -> None:
    """An attention with the loads of what comes behind it: between its groups of heads if there are enough, else in front of it."""
    ahead.allocate()
    if loads_between_groups(low, op):
        low.between = ahead
    else:
        ahead.load()
    lower_op(low, op)
    low.between = None
    ahead.hand_over()


def lower_op(low: Lowering, op: Operation, following: Sequence[Operation] = ()) -> None:
    """`following`: the ops behind a stack of layers."""
    with located(low, op):
        if isinstance(op, slmq.RowsOp):
            lower_rows(low, op, lower_op)
        elif isinstance(op, slm.MixtureOp):
            lower_mixture(low, op, lower_block)
        elif isinstance(op, slm.LayersOp):
            lower_layers(low, op, following, lower_block, lower_op)
        elif type(op) in LOWERINGS:
            LOWERINGS[type(op)](low, op)
        else:
            raise CompileError(f"{op.name} has no lowering to tiles", source_of(op.location))


def lower_selected(low: Lowering, op: slmq.SelectRowsOp, ops: Sequence[Operation]) -> None:
    """`ops`: from the first one that selects rows on."""
    b = low.builder
    b.location = named("select_rows", op.location)
    wanted = chosen_rows(low)
    rows: Index = 1 if low.rows == 1 else wanted
    b.when(b.compare("ne", wanted, 0), lambda: lower_ops(low, ops, wanted=rows))
