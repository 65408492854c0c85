"""Rolled layers: one loop over the layers, one body per kind of layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm
from compiler.lowering.ahead import NextLayer
from compiler.lowering.builder import Index
from compiler.lowering.kinds import kind_chain, layers_of
from compiler.lowering.next_rows import NextRows
from compiler.lowering.row_regions import LowerOp
from compiler.lowering.spilling import copy_spilled, new_spilled
from compiler.lowering.tensors import on_chip
from compiler.lowering.values import Lowering, Tensor, Upcoming, dies_at

MARK_LAYER = 0
OUTSIDE = -1  # marks the end of the layers


LowerBlock = Callable[[Lowering, Block, Upcoming | None], None]


def lower_layers(
    low: Lowering, op: slm.LayersOp, following: Sequence[Operation], lower_block: LowerBlock, lower_op: LowerOp
) -> None:
    """Layer i reads and writes the same buffers; a body whose result is elsewhere copies it there. `following`: the ops behind.

    Each layer is marked for the profile; the mark behind the last one ends it.
    """
    b, count = low.builder, len(op.layer_kinds)
    carried = [carried_tensor(low, op, value) for value in op.values]
    ahead = NextLayer.of(low, op, following) if low.plan.looks_beyond_layers else None
    if ahead is not None:
        ahead.load_first()
    for kind in range(len(op.kinds)):
        low.values.update(zip(op.body(kind).args, carried, strict=True))
    low.next_rows = NextRows.of(low, op, ahead, lower_op)
    if low.next_rows is not None:
        low.next_rows.make_first()

    def layer(index: SSAValue, _: list[SSAValue]) -> list[Index]:
        low.layer = index
        b.mark(MARK_LAYER, index)
        kind_chain(low, op, index, lambda kind: lower_kind(low, op, kind, carried, ahead, lower_block))
        return []

    b.loop(0, count, 1, layer)
    b.mark(MARK_LAYER, OUTSIDE)
    low.layer = low.next_rows = None
    if ahead is not None:
        ahead.behind.hand_over()
    for out, tensor in zip(op.outs, carried, strict=True):
        low.values[out] = tensor


def carried_tensor(low: Lowering, op: slm.LayersOp, value: SSAValue) -> Tensor:
    """Where a carried value lives: the loop overwrites it, so a value that is still needed elsewhere is copied."""
    tensor = on_chip(low, value)
    if tensor.block:
        copy = tensor if dies_at(value, op) else new_spilled(low, value)
        copy_spilled(low, tensor, copy)
        return copy
    if dies_at(value, op) or tensor is not low.values[value]:
        return tensor
    copy = low.result(value, "carried")
    low.builder.vun("mov", low.view(copy), low.view(tensor))
    return copy


def lower_kind(
    low: Lowering, op: slm.LayersOp, kind: int, carried: list[Tensor], ahead: NextLayer | None, lower_block: LowerBlock
) -> None:
    body = op.body(kind)
    low.layers = layers_of(op, kind)
    if ahead is not None:
        ahead.begin(kind)
    if low.next_rows is not None:
        low.next_rows.begin(kind)
    lower_block(low, body, ahead)
    if ahead is not None and not ahead.is_loaded:
        ahead.load()
    end = body.last_op
    yielded = [on_chip(low, value) for value in end.operands] if end is not None else []
    hand_over(low, carried, yielded, list(end.operands) if end is not None else [])


def hand_over(low: Lowering, carried: list[Tensor], yielded: list[Tensor], values: list[SSAValue]) -> None:
    """carried[i] = yielded[i], all at once: a result that lives in another carried buffer is saved first."""
    b, places = low.builder, [tensor.place for tensor in carried]
    sources = list(yielded)
    for index, source in enumerate(yielded):
        if source.place in places and source.place != places[index]:
            if source.block:
                sources[index] = new_spilled(low, values[index])
                copy_spilled(low, source, sources[index])
                continue
            sources[index] = low.new("handed_over", source.dtype, source.shape, source.rows)
            b.vun("mov", low.view(sources[index]), low.view(source))
    for target, source in zip(carried, sources, strict=True):
        if source.block:
            copy_spilled(low, source, target)
        elif source.place != target.place:
            b.vun("mov", low.view(target), low.view(source))
