"""Between which numbers the index values of a function lie, and what divides them."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from xdsl.dialects import arith, scf
from xdsl.ir import Block, Operation, SSAValue

from compiler.scalars import ARITHMETIC, constant_of, quotient, trips_of

Range = tuple[int, int]
ANY: Range = (-(1 << 63), (1 << 63) - 1)


def within(inner: Range, outer: Range) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def common(a: Range, b: Range) -> Range:
    """What is in both; they overlap if both say the truth."""
    return max(a[0], b[0]), min(a[1], b[1])


class Ranges:
    """Ranges by value, worked out when asked for. `facts`: what is known from elsewhere."""

    def __init__(self, facts: Mapping[SSAValue, Range] | None = None):
        self.facts = facts or {}
        self.known: dict[SSAValue, Range] = {}

    def of(self, value: SSAValue) -> Range:
        """Smallest and largest number the value can be."""
        found = self.known.get(value)
        if found is None:
            self.known[value] = self.facts.get(value, ANY)
            found = self.known[value] = common(self.computed(value), self.facts.get(value, ANY))
        return found

    def computed(self, value: SSAValue) -> Range:
        constant, owner = constant_of(value), value.owner
        if constant is not None:
            return constant, constant
        if isinstance(owner, Block):
            return self.of_index(owner, value)
        if type(owner) in ARITHMETIC:
            return self.of_result(owner)
        return ANY

    def of_index(self, block: Block, value: SSAValue) -> Range:
        """Of the index of a loop; other arguments of blocks can be anything."""
        loop = block.parent_op()
        if not isinstance(loop, scf.ForOp) or value is not block.args[0]:
            return ANY
        low, trips, step = self.of(loop.lb), trips_of(loop), constant_of(loop.step) or 1
        if trips is not None:
            return low[0], low[0] + max(trips - 1, 0) * step
        return low[0], max(low[0], self.of(loop.ub)[1] - 1)

    def of_result(self, op: Operation) -> Range:
        """Of a scalar op. What could leave 64 bits can be anything."""
        (a, b), (c, d) = (self.of(value) for value in op.operands)
        function = ARITHMETIC[type(op)]
        if isinstance(op, arith.RemSIOp):
            largest = max(abs(c), abs(d)) - 1
            return (0 if a >= 0 else -largest), largest
        if isinstance(op, arith.AndIOp):
            return (0, min(b, d)) if a >= 0 and c >= 0 else ANY
        if isinstance(op, arith.DivSIOp):
            return (quotient(a, c), quotient(b, c)) if c == d and c > 0 else ANY
        ends = [function(x, y) for x in (a, b) for y in (c, d)]
        found = min(ends), max(ends)
        return found if within(found, ANY) else ANY

    def decides(self, op: arith.CmpiOp) -> bool | None:
        """The answer of a comparison, if it is always the same."""
        (a, b), (c, d) = self.of(op.lhs), self.of(op.rhs)
        equal = True if a == b == c == d else False if b < c or d < a else None
        less = True if b < c else False if a >= d else None
        more = True if a > d else False if b <= c else None
        answers = (equal, opposite(equal), less, opposite(more), more, opposite(less))
        return answers[op.predicate.value.data] if op.predicate.value.data < len(answers) else None


def opposite(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def divisor_of(value: SSAValue) -> int:
    """A number that divides a value, the largest that is known; 0 divides 0 only."""
    constant, owner = constant_of(value), value.owner
    if constant is not None:
        return abs(constant)
    if isinstance(owner, Block):
        loop = owner.parent_op()
        is_index = isinstance(loop, scf.ForOp) and value is owner.args[0]
        return gcd(divisor_of(loop.lb), divisor_of(loop.step)) if is_index else 1  # type: ignore[union-attr]
    if isinstance(owner, arith.MuliOp):
        return divisor_of(owner.lhs) * divisor_of(owner.rhs)
    if isinstance(owner, arith.AddiOp | arith.SubiOp | arith.MinSIOp | arith.MaxSIOp):
        return gcd(divisor_of(owner.lhs), divisor_of(owner.rhs))
    return 1
