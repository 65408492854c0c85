"""Locations: an op keeps the place it came from through every lowering.

A location is `loc("operator"("llama.slm":60:10))`: the operator name is the op of the slm level, which the report groups by.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import FileLineColLoc, LocationAttr, NameLoc, StringAttr, UnknownLoc
from xdsl.ir import Operation, SSAValue
from xdsl.pattern_rewriter import PatternRewriter


def named(operator: str, location: LocationAttr) -> LocationAttr:
    """The location with the operator's name around it, unless it has one."""
    return location if isinstance(location, NameLoc) else NameLoc(StringAttr(operator), location)


def operator_of(location: LocationAttr) -> str:
    """The operator name of a location; `program` for code that belongs to no operator of the model."""
    return location.desc.data if isinstance(location, NameLoc) else "program"


def source_of(location: LocationAttr) -> str:
    """`file:line:column`, or an empty string if unknown."""
    place = location.location if isinstance(location, NameLoc) else location
    if isinstance(place, FileLineColLoc):
        return f"{place.filename.data}:{place.line.data}:{place.column.data}"
    return ""


def is_unknown(location: LocationAttr) -> bool:
    return isinstance(location, UnknownLoc)


def replace_keep_loc(
    rewriter: PatternRewriter,
    op: Operation,
    new_ops: Operation | Sequence[Operation],
    results: Sequence[SSAValue] | None = None,
) -> None:
    """Like rewriter.replace, which drops locations: the new ops, and those in their regions, get the old one's."""
    ops = [new_ops] if isinstance(new_ops, Operation) else list(new_ops)
    location = named(op.name.split(".", 1)[1], op.location)
    for new in ops:
        for inner in new.walk():
            if is_unknown(inner.location):
                inner.location = location
    rewriter.replace(op, ops, results)
