"""Ranges and divisors of index values hold for every value that random arithmetic on loop indices takes."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from xdsl.dialects import arith
from xdsl.dialects.builtin import UnknownLoc
from xdsl.ir import Block, SSAValue

from compiler.analysis.value_ranges import ANY, Ranges, divisor_of
from compiler.lowering.builder import TileBuilder
from compiler.scalars import ARITHMETIC, constant_of

SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, max_examples=60,
    phases=[Phase.generate],
)  # fmt: skip
PREDICATES: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "slt": lambda a, b: a < b,
    "sle": lambda a, b: a <= b,
    "sgt": lambda a, b: a > b,
    "sge": lambda a, b: a >= b,
}


def evaluate(value: SSAValue, known: dict[SSAValue, int]) -> int:
    constant = constant_of(value)
    if constant is not None:
        return constant
    if value in known:
        return known[value]
    a, b = (evaluate(operand, known) for operand in value.owner.operands)  # type: ignore[union-attr]
    return ARITHMETIC[type(value.owner)](a, b)  # type: ignore[index]


@SETTINGS
@given(st.integers(0, 1 << 30))
def test_values_lie_in_their_ranges(seed: int) -> None:
    chosen = random.Random(seed)
    b = TileBuilder(Block(), UnknownLoc())
    low, step, trips = chosen.randint(-3, 3) * 8, chosen.choice([1, 8, 12]), chosen.randint(1, 9)
    high = low + step * (trips - 1) + chosen.randint(1, step)
    made: list[SSAValue] = []
    conditions: list[arith.CmpiOp] = []

    def body(index: SSAValue, _carried: list[SSAValue]) -> list[SSAValue]:
        made.append(index)
        operations = [b.add, b.sub, b.mul, b.least, b.greatest]
        for _ in range(12):
            constant = chosen.randint(-40, 40)
            other = chosen.choice([chosen.choice(made), constant])
            divide = chosen.random() < 0.3
            new = (
                b.div(chosen.choice(made), chosen.randint(2, 9))
                if divide
                else chosen.choice(operations)(made[-1], other)
            )
            made.append(b.value(new))
            condition = b.compare(chosen.choice(list(PREDICATES)), chosen.choice(made), constant).owner
            assert isinstance(condition, arith.CmpiOp)
            conditions.append(condition)
        return []

    b.loop(low, high, step, body)
    ranges = Ranges()
    for index in range(low, high, step):
        known = {made[0]: index}
        for value in made:
            number, (least, most), divisor = evaluate(value, known), ranges.of(value), divisor_of(value)
            assert least <= number <= most
            assert number == 0 if divisor == 0 else number % divisor == 0
        for condition in conditions:
            left, right = evaluate(condition.lhs, known), evaluate(condition.rhs, known)
            truth = list(PREDICATES.values())[condition.predicate.value.data](left, right)
            assert ranges.decides(condition) in (None, truth)


def test_ranges_are_not_wider_than_they_need_be() -> None:
    """(index of 64, 128, .. 448 - 64) / 64 * 100, which is at least 100 and below 601."""
    b = TileBuilder(Block(), UnknownLoc())
    found: list[SSAValue] = []

    def body(index: SSAValue, _carried: list[SSAValue]) -> list[SSAValue]:
        found.append(b.value(b.mul(b.div(b.sub(index, 64), 64), 100)))
        found.append(b.value(b.least(b.lds(8), 7)))
        return []

    b.loop(128, 449, 64, body)
    ranges = Ranges()
    assert ranges.of(found[0]) == (100, 600)
    assert ranges.of(found[1]) == (ANY[0], 7)
    assert (divisor_of(found[0].owner.operands[0].owner.operands[0]), divisor_of(found[1])) == (64, 1)  # type: ignore[union-attr]
