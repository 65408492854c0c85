"""What the descriptor of a view holds: the constant part, and which fields are set at run time."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import tile
from compiler.scalars import constant_of
from compiler.walking import ops_of
from isa.descriptor import Descriptor, field_range
from isa.spec import FMT_BLOCKED, FMT_SPARSE, TD_FIELDS, Dtype, Region

FIELD_RANGES = {name: field_range(width, signed) for name, width, signed in TD_FIELDS}


@dataclass(frozen=True)
class Field:
    """One field set at run time: `value` plus a constant."""

    name: str
    value: SSAValue
    plus: int = 0


@dataclass(frozen=True, eq=False)
class Form:
    """Views of equal forms share a descriptor, and one Form. `view`: one of them; it gives the constant part its name and place in the
    source."""

    descriptor: Descriptor
    fields: tuple[Field, ...]
    view: tile.ViewOp

    @property
    def label(self) -> str:
        alloc = buffer_of(self.view)
        return alloc.label.data if alloc is not None else self.view.space.data


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


def form_of(view: tile.ViewOp) -> Form:
    """What a view's descriptor holds, and what has to be set."""
    fields: list[Field] = []

    def constant(name: str, value: int | SSAValue, missing: int, plus: int = 0) -> int:
        if isinstance(value, int):
            return value + plus
        known, (low, high) = constant_of(value), FIELD_RANGES[name]
        if known is not None and low <= known + plus <= high:
            return known + plus
        fields.append(
            Field(name, value, plus)
        )  # also a number that does not fit: the program never comes there, or traps
        return missing

    def quad(letter: str, values: tuple[int | SSAValue, ...], missing: int) -> tuple[int, int, int, int]:
        a, b, c, d = (constant(f"{letter}{position}", value, missing) for position, value in enumerate(values))
        return a, b, c, d

    base = constant("base", 0 if view.base is None else view.base, 0, base_of(view))
    extents = quad("e", view.full_extents(), 1)
    strides = quad("s", view.full_strides(), 0)
    region, dtype = Region[view.space.data.upper()], Dtype[view.dtype.data.upper()]
    glog2 = view.group_size.bit_length() - 1
    fmt = (FMT_SPARSE if view.sparse is not None else 0) | (FMT_BLOCKED if view.blocked is not None else 0)
    return Form(Descriptor(base, region, dtype, extents, strides, glog2, fmt), tuple(fields), view)


def forms_of(function: FuncOp) -> dict[SSAValue, Form]:
    """The form of each view that an instruction names; equal ones are one object."""
    unique: dict[tuple[Descriptor, tuple[Field, ...]], Form] = {}
    forms = [form_of(view) for view in ops_of(tile.ViewOp, function) if view.result.first_use is not None]
    return {form.view.result: unique.setdefault((form.descriptor, form.fields), form) for form in forms}


def views_in(op: Operation) -> list[SSAValue]:
    """The views an instruction names, each once."""
    return list(dict.fromkeys(value for value in op.operands if isinstance(value.owner, tile.ViewOp)))
