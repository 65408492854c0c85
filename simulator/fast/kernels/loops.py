"""The loops of a kernel over the elements of its operands: as few and as long as the strides allow, worked out in Python.

A kernel has an innermost loop of its own, over a row, and OUTER loops around it. Its parameters begin with what is written here.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Value, Variable

OUTER = 3
ROWS, EXTENTS, STEPS = 0, 1, 3
"""Places in the parameters: rows in all; turns of the two inner ones of the outer loops; OUTER steps of each operand, innermost first."""
PART, PARTS = int(Arg.PART), int(Arg.PARTS)
WORTH_DIVIDING = 1 << 13
"""Elements. One of a LONG function counts as LONG_ELEMENTS."""
LONG_ELEMENTS = 8


class Loop(NamedTuple):
    """`extent` turns; by how many bytes each operand moves on."""

    extent: int
    steps: tuple[int, ...]


def loops(extents: Sequence[int], *strides: Sequence[int]) -> list[Loop]:
    """Innermost first. `strides`: of each operand."""
    return [Loop(extent, steps) for extent, steps in zip(extents, zip(*strides, strict=True), strict=True)]


def merged(nest: Sequence[Loop]) -> list[Loop]:
    """The same without loops of one turn, and with loops in one that step over the next inner one exactly, for all operands."""
    result: list[Loop] = []
    for loop in nest:
        if loop.extent == 1:
            continue
        inner = result[-1] if result else None
        if inner and loop.steps == tuple(inner.extent * step for step in inner.steps):
            result[-1] = Loop(inner.extent * loop.extent, inner.steps)
        else:
            result.append(loop)
    return result


def outer_parameters(outer: Sequence[Loop], operands: int) -> tuple[int, ...]:
    """The first parameters of a kernel with loops of `operands` operands."""
    padded = [*outer, *[Loop(1, (0,) * operands)] * (OUTER - len(outer))]
    rows = padded[0].extent * padded[1].extent * padded[2].extent
    steps = (loop.steps[operand] for operand in range(operands) for loop in padded)
    return rows, padded[0].extent, padded[1].extent, *steps


def parameters_length(operands: int) -> int:
    """How many parameters `outer_parameters` gives."""
    return STEPS + OUTER * operands


def share(code: Code, total: Value, unit: int) -> tuple[Value, Value]:
    """First and end of what this part does of `total`, in whole units."""
    part, parts = code.argument(PART), code.argument(PARTS)
    units = (total + (unit - 1)) // unit
    first, end = units * part // parts * unit, units * (part + 1) // parts * unit
    return first.smaller(total), end.smaller(total)


def divided(code: Code, length: Value, unit: int) -> tuple[Value, Value, Value, Value]:
    """First and end of the rows of this part, and of the elements of each: whole rows, or a piece in units of the only one."""
    zero, count = code.word(0), code.parameter(ROWS)
    is_single = count.equals(1)
    row_first, row_end = share(code, count, 1)
    first, end = share(code, length, unit)
    return (
        is_single.choose(zero, row_first),
        is_single.choose(count, row_end),
        is_single.choose(first, zero),
        is_single.choose(end, length),
    )


class Row(NamedTuple):
    """`offsets`: by how many bytes it is behind the first one, of each operand. `turns` of the outer loops."""

    offsets: list[Value]
    turns: list[Value]


@contextmanager
def rows(code: Code, operands: int, first: Value, end: Value) -> Generator[Row]:
    """The outer loops."""
    extents = [code.parameter(EXTENTS), code.parameter(EXTENTS + 1)]
    steps = [[code.parameter(STEPS + OUTER * operand + loop) for loop in range(OUTER)] for operand in range(operands)]
    turns = [code.variable(first % extents[0]), code.variable(first // extents[0] % extents[1])]
    turns.append(code.variable(first // extents[0] // extents[1]))
    with code.loop(first, end):
        i1, i2, i3 = (turn.get() for turn in turns)
        yield Row([i1 * s1 + i2 * s2 + i3 * s3 for s1, s2, s3 in steps], [i1, i2, i3])
        advance(code, turns, extents)


def advance(code: Code, turns: Sequence[Variable], extents: Sequence[Value]) -> None:
    """The next turns of nested loops, innermost first. The outermost one has no extent here."""
    carry = code.word(1)
    for turn, extent in zip(turns, extents, strict=False):
        following = turn.get() + carry
        is_last = following.equals(extent)
        turn.set(is_last.choose(code.word(0), following))
        carry = is_last.cast("zext", "i64")
    turns[-1].set(turns[-1].get() + carry)
