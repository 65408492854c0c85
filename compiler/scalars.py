"""Numbers that index values are known to be, and what scalar ops make of numbers."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Operation, SSAValue

from compiler.attributes import INDEX, index_number


def constant_of(value: SSAValue) -> int | None:
    """The number a value is known to be."""
    owner = value.owner
    if isinstance(owner, arith.ConstantOp) and isinstance(owner.value, IntegerAttr):
        return owner.value.value.data
    return None


def constant(number: int) -> arith.ConstantOp:
    """Of type index."""
    return arith.ConstantOp.create(properties={"value": index_number(number)}, result_types=[INDEX])


def trips_of(loop: scf.ForOp) -> int | None:
    """How often a loop runs, if that is known."""
    low, high, step = (constant_of(value) for value in (loop.lb, loop.ub, loop.step))
    if low is None or high is None or not step:
        return None
    return max(0, -(-(high - low) // step))


def quotient(a: int, b: int) -> int:
    """Truncates towards zero, as the hardware does; 0 where that traps."""
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a >= 0) == (b >= 0) else -1)


def compared(predicate: int, a: int, b: int) -> bool:
    """The answer of arith.cmpi."""
    return (a == b, a != b, a < b, a <= b, a > b, a >= b)[predicate]


ARITHMETIC: dict[type[Operation], Callable[[int, int], int]] = {
    arith.AddiOp: lambda a, b: a + b,
    arith.SubiOp: lambda a, b: a - b,
    arith.MuliOp: lambda a, b: a * b,
    arith.DivSIOp: quotient,
    arith.RemSIOp: lambda a, b: a - b * quotient(a, b),
    arith.MinSIOp: min,
    arith.MaxSIOp: max,
    arith.AndIOp: lambda a, b: a & b,
}
