"""Layers that differ in the scales of their attentions alone are of one kind: such a scale becomes a list by layer."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from xdsl.dialects.builtin import DenseArrayBase, Float64Type, FloatAttr, f64
from xdsl.ir import Region
from xdsl.printer import Printer

from compiler.dialects import slm

Scale = FloatAttr[Float64Type]


def attentions(region: Region) -> list[slm.AttentionOp]:
    return [op for op in region.walk() if isinstance(op, slm.AttentionOp)]


def text_without_scales(region: Region) -> str:
    """The text of a layer's body: layers of equal text differ in attention scales at most."""
    ops = attentions(region)
    scales = [op.scale for op in ops]
    for op in ops:
        op.scale = FloatAttr(0.0, f64)
    text = StringIO()
    Printer(stream=text).print_region(region)
    for op, scale in zip(ops, scales, strict=True):
        op.scale = scale
    return text.getvalue()


def spread_scales(bodies: Sequence[Region], kinds: Sequence[Region], order: Sequence[int]) -> None:
    """Gives the attentions of `kinds` a scale for each layer where those differ. bodies[i] is layer i's own."""
    for kind, region in enumerate(kinds):
        members = [layer for layer, its_kind in enumerate(order) if its_kind == kind]
        for position, op in enumerate(attentions(region)):
            scales = {layer: float(attentions(bodies[layer])[position].scale.value.data) for layer in members}
            if len(set(scales.values())) > 1:
                own = float(op.scale.value.data)
                every = [scales.get(layer, own) for layer in range(len(bodies))]
                op.layer_scales = DenseArrayBase.from_list(f64, every)
