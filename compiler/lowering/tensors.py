"""Weights used as values: they stay in DRAM, and each op loads what it needs of them."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, StringAttr, f64, i64
from xdsl.ir import SSAValue

from compiler.dialects import slmq, tile
from compiler.dialects.slm import WeightAttr
from compiler.lowering.builder import Index, Place, element_bytes
from compiler.lowering.values import Lowering, Tensor


def vector_place(low: Lowering, weight: WeightAttr, offset: float = 0.0) -> Place:
    """Where a weight plus a constant lies in DRAM, in f32, one element after the other."""
    what = {
        "kind": StringAttr("vector"),
        "key": weight.key,
        "rows": IntegerAttr(1, i64),
        "columns": IntegerAttr(prod(weight.shape), i64),
        "offset": FloatAttr(offset, f64),
    }
    return Place("weight", offset=low.place(tile.WeightOp, what, weight.key.data))


def load_vector(low: Lowering, source: Place, size: int, label: str) -> Place:
    """`size` f32 elements, brought to SRAM."""
    target = Place("sram", low.builder.alloc(label, size * 4))
    load_to(low, target, source, size)
    return target


def load_to(low: Lowering, target: Place, source: Place, size: int) -> None:
    """`size` f32 elements."""
    low.builder.load(low.builder.view(target, "f32", [size]), low.builder.view(source, "f32", [size]))


def lower_tensor(low: Lowering, op: slmq.TensorOp) -> None:
    """Says where the values are. A scan takes them in another order and places them itself."""
    if all(isinstance(use.operation, slmq.SelectiveScanOp) for use in op.result.uses):
        return
    low.values[op.result] = Tensor(vector_place(low, op.weight), "f32", tuple(op.weight.shape), 1, shared=True)


def on_chip(low: Lowering, value: SSAValue) -> Tensor:
    """A value in SRAM: that of a weight is loaded, others are there."""
    tensor = low.values[value]
    if tensor.place.space != "weight":
        return tensor
    place = load_vector(low, tensor.place, tensor.columns, "tensor")
    return Tensor(place, tensor.dtype, tensor.shape, 1, shared=True)


def columns_on_chip(low: Lowering, tensor: Tensor, first: Index, count: Index, most: int) -> tuple[Place, Index]:
    """(place, offset in bytes) of `count` of at most `most` columns of rows in SRAM; those of a weight, in f32, are loaded."""
    b = low.builder
    offset = b.mul(first, element_bytes(tensor.dtype))
    if tensor.place.space != "weight":
        return tensor.place, offset
    place = Place("sram", b.alloc("tensor", most * 4, stream=True))
    b.load(b.view(place, "f32", [count]), b.view(tensor.place, "f32", [count], offset=offset))
    return place, 0
