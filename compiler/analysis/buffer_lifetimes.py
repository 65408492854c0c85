"""When each buffer of a function is in use, in a numbering of its ops; loops stretch what they read from outside."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import tile


@dataclass(frozen=True)
class Lifetime:
    """Buffer number `index` (position in the function's list of allocs) is in use from op `first` to op `last`, both included."""

    index: int
    label: str
    size_bytes: int
    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Numbering:
    """Pre-order number of each op, and the number of the last op inside it."""

    first: dict[Operation, int]
    last: dict[Operation, int]


def number(function: FuncOp) -> Numbering:
    first: dict[Operation, int] = {}
    last: dict[Operation, int] = {}

    def visit(op: Operation) -> None:
        first[op] = len(first)
        for region in op.regions:
            for block in region.blocks:
                for inner in block.ops:
                    visit(inner)
        last[op] = len(first) - 1

    visit(function)
    return Numbering(first, last)


def users(value: SSAValue) -> list[Operation]:
    """The ops that touch a buffer, through its views."""
    found: list[Operation] = []
    for use in value.uses:
        op = use.operation
        found += users(op.result) if isinstance(op, tile.ViewOp) else [op]
    return found


def outermost_loop(op: Operation, inside_of: Operation | None) -> Operation | None:
    """The outermost loop around `op` that lies within `inside_of`."""
    found, current = None, op.parent_op()
    while current is not None and current is not inside_of:
        if isinstance(current, scf.ForOp | scf.WhileOp):
            found = current
        current = current.parent_op()
    return found


def buffer_lifetimes(function: FuncOp, space: str) -> tuple[list[tile.AllocOp], list[Lifetime]]:
    """The allocs of a space and their lifetimes, in the same order. An unused buffer lives at its alloc."""
    numbering = number(function)
    allocs = [op for op in function.walk() if isinstance(op, tile.AllocOp) and op.space.data == space]
    lifetimes: list[Lifetime] = []
    for index, alloc in enumerate(allocs):
        first = last = numbering.first[alloc]
        points: list[int] = []
        for op in users(alloc.result):
            loop = outermost_loop(op, alloc.parent_op())
            points += [numbering.first[loop], numbering.last[loop]] if loop is not None else [numbering.first[op]]
        if points:
            first, last = min(points), max(points)
        lifetimes.append(Lifetime(index, alloc.label.data, alloc.size_bytes.value.data, first, last))
    return allocs, lifetimes
