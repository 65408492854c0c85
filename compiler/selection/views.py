"""Descriptors for views: the constant part, and which fields are set at run time."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import tile
from isa.descriptor import Descriptor
from isa.spec import FMT_BLOCKED, FMT_SPARSE, TD_REGISTERS, Dtype, Region

TRANSIENT_REGISTERS = 8  # an instruction has at most four operands; kept for views that are reloaded at each use


@dataclass(frozen=True)
class Field:
    """One field set at run time: `value` plus a constant."""

    name: str
    value: SSAValue
    plus: int = 0


@dataclass(frozen=True)
class ViewPlan:
    """`resident`: the descriptor register belongs to the view for the whole program."""

    descriptor: Descriptor
    fields: tuple[Field, ...]
    resident: bool
    label: str


def buffer_of(view: tile.ViewOp) -> tile.AllocOp | None:
    owner = view.buffer.owner if view.buffer is not None else None
    return owner if isinstance(owner, tile.AllocOp) else None


def base_of(view: tile.ViewOp) -> int:
    """The constant part of the base address."""
    alloc = buffer_of(view)
    offset = 0
    if alloc is not None:
        if alloc.offset is None:
            raise ValueError(f"buffer {alloc.label.data} has no place yet: run allocate-sram first")
        offset = alloc.offset.value.data
    return offset + view.static_base.value.data


def plan_view(view: tile.ViewOp, resident: bool) -> ViewPlan:
    """What a view's descriptor holds, and what has to be set."""
    fields: list[Field] = []
    base = base_of(view)
    if view.base is not None:
        fields.append(Field("base", view.base, base))
        base = 0

    def constant(letter: str, values: tuple[int | SSAValue, ...], missing: int) -> tuple[int, int, int, int]:
        numbers: list[int] = []
        for position, value in enumerate(values):
            if isinstance(value, int):
                numbers.append(value)
            else:
                numbers.append(missing)
                fields.append(Field(f"{letter}{position}", value))
        return numbers[0], numbers[1], numbers[2], numbers[3]

    extents = constant("e", view.full_extents(), 1)
    strides = constant("s", view.full_strides(), 0)
    region, dtype = Region[view.space.data.upper()], Dtype[view.dtype.data.upper()]
    alloc = buffer_of(view)
    label = alloc.label.data if alloc is not None else view.space.data
    glog2 = view.group_size.bit_length() - 1
    fmt = (FMT_SPARSE if view.sparse is not None else 0) | (FMT_BLOCKED if view.blocked is not None else 0)
    return ViewPlan(Descriptor(base, region, dtype, extents, strides, glog2, fmt), tuple(fields), resident, label)


def loop_depth(op: Operation) -> int:
    depth, current = 0, op.parent_op()
    while current is not None:
        depth += isinstance(current, scf.ForOp | scf.WhileOp)
        current = current.parent_op()
    return depth


def use_depth(view: tile.ViewOp) -> int:
    """Loops around the innermost use."""
    return max((loop_depth(use.operation) for use in view.result.uses), default=0)


def plan_views(function: FuncOp) -> dict[SSAValue, ViewPlan]:
    """Plans for all views. If there are too many, the least used in loops are not resident: they share what is left."""
    views = [op for op in function.walk() if isinstance(op, tile.ViewOp)]
    resident = set(views)
    if len(views) > TD_REGISTERS:
        ordered = sorted(views, key=use_depth, reverse=True)
        resident = set(ordered[: TD_REGISTERS - TRANSIENT_REGISTERS])
    return {view.result: plan_view(view, view in resident) for view in views}
