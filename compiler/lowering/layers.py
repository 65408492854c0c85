"""Rolled layers: one loop over the layers, one body per kind of layer."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm, tile
from compiler.lowering.builder import Index
from compiler.lowering.values import Lowering, Tensor

MARK_LAYER = 0


def lower_layers(low: Lowering, op: slm.LayersOp, lower_block: Callable[[Lowering, Block], None]) -> None:
    """Layer i reads and writes the same buffers; a body whose result is elsewhere copies it there.

    Each layer is marked for the profile; the mark behind the last one ends it.
    """
    b, count = low.builder, len(op.layer_kinds)
    carried = [low.values[value] for value in op.values]

    def layer(index: SSAValue, _: list[SSAValue]) -> list[Index]:
        low.layer = index
        b.mark(MARK_LAYER, index)
        if len(op.kinds) == 1:
            lower_kind(low, op, 0, carried, lower_block)
        else:
            what = {"group": op.group, "kinds": op.order}
            kind = b.insert(tile.KindOp(operands=[index], properties=what, result_types=[IndexType()])).results[0]
            choose_kind(low, op, 0, kind, carried, lower_block)
        return []

    b.loop(0, count, 1, layer)
    b.mark(MARK_LAYER, count)
    low.layer = None
    for out, tensor in zip(op.outs, carried, strict=True):
        low.values[out] = tensor


def choose_kind(
    low: Lowering, op: slm.LayersOp, kind: int, value: SSAValue, carried: list[Tensor],
    lower_block: Callable[[Lowering, Block], None],
) -> None:  # fmt: skip
    """A chain of comparisons; the last kind needs none."""
    b = low.builder
    if kind == len(op.kinds) - 1:
        lower_kind(low, op, kind, carried, lower_block)
        return
    b.when(
        b.compare("eq", value, kind),
        lambda: lower_kind(low, op, kind, carried, lower_block),
        lambda: choose_kind(low, op, kind + 1, value, carried, lower_block),
    )


def lower_kind(
    low: Lowering, op: slm.LayersOp, kind: int, carried: list[Tensor], lower_block: Callable[[Lowering, Block], None]
) -> None:
    body = op.body(kind)
    low.layers = tuple(layer for layer, its_kind in enumerate(op.layer_kinds) if its_kind == kind)
    for arg, tensor in zip(body.args, carried, strict=True):
        low.values[arg] = tensor
    lower_block(low, body)
    end = body.last_op
    for value, tensor in zip(end.operands if isinstance(end, Operation) else (), carried, strict=True):
        if low.values[value].place != tensor.place:
            low.builder.vun("mov", low.view(tensor), low.view(low.values[value]))
