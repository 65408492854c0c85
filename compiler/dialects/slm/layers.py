"""Rolled stacks of layers."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    DenseArrayBase,
    Float64Type,
    FloatAttr,
    StringAttr,
    i64,
)
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    irdl_op_definition,
    prop_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.traits import IsTerminator
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a region and hands out its values."""

    name = "slm.yield"
    values = var_operand_def(AnyAttr())
    traits = traits_def(IsTerminator())
    assembly_format = "$values attr-dict `:` type($values)"


@irdl_op_definition
class LayersOp(IRDLOperation):
    """A rolled stack of layers: layer i runs region order[i] on the values, `{i}` in weight and state names being i.

    The layers form the group `group` of the architecture; there is one region per distinct kind of layer.
    """

    name = "slm.layers"
    values = var_operand_def(AnyAttr())
    group = prop_def(StringAttr)
    order = prop_def(DenseArrayBase[i64])
    kinds = var_region_def()
    outs = var_result_def(AnyAttr())
    assembly_format = "$group $order `(` $values `)` $kinds attr-dict `:` type($values) `->` type($outs)"

    def __init__(self, group: str, order: Sequence[int], values: Sequence[SSAValue], kinds: Sequence[Region]):
        super().__init__(
            operands=[values],
            result_types=[[value.type for value in values]],
            properties={"group": StringAttr(group), "order": DenseArrayBase.from_list(i64, order)},
            regions=[kinds],
        )

    @property
    def layer_kinds(self) -> tuple[int, ...]:
        """The region index of each layer."""
        return tuple(int(kind) for kind in self.order.get_values())

    def body(self, kind: int) -> Block:
        return self.kinds[kind].block

    def verify_(self) -> None:
        types = [value.type for value in self.values]
        if [out.type for out in self.outs] != types:
            raise VerifyException("layers keep the types of their values")
        if not self.layer_kinds or set(self.layer_kinds) != set(range(len(self.kinds))):
            raise VerifyException(f"layer kinds {sorted(set(self.layer_kinds))} and {len(self.kinds)} regions differ")
        for region in self.kinds:
            last = region.block.last_op
            if [arg.type for arg in region.block.args] != types:
                raise VerifyException("a layer region takes the values of the layers op")
            if not isinstance(last, YieldOp) or [value.type for value in last.values] != types:
                raise VerifyException("a layer region yields the values of the layers op")


ByLayer = DenseArrayBase[Float64Type]
"""A number for each layer of the stack."""


def at_layer(value: FloatAttr[Float64Type], by_layer: ByLayer | None, layer: int | None) -> float:
    """A number of an operation: the layer's own, if it has such."""
    if by_layer is None or layer is None:
        return float(value.value.data)
    return float(by_layer.get_values()[layer])


def check_by_layer(op: Operation, by_layer: ByLayer | None) -> None:
    """Raises VerifyException unless there is a number for each layer of the stack that the operation is in."""
    if by_layer is None:
        return
    stack = op.parent_op()
    while stack is not None and not isinstance(stack, LayersOp):
        stack = stack.parent_op()
    layers = len(stack.layer_kinds) if stack is not None else 0
    if len(by_layer) != layers:
        raise VerifyException(f"{len(by_layer)} numbers by layer for {layers} layers")
