"""What the static checks know about a value: its type, a symbolic shape, whether it may be null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from frontends.errors import shape_text
from frontends.language import syntax
from frontends.language.catalogue import TOKEN_COUNT
from frontends.language.formatting import expression_text
from frontends.language.polynomials import Polynomial
from frontends.language.source import Place
from frontends.language.syntax import Expression

Shape = tuple[Polynomial, ...]
T = Polynomial.symbol(TOKEN_COUNT)


@dataclass(frozen=True)
class Fact:
    """A condition and whether it holds. `shown` is how the file writes it."""

    condition: str
    holds: bool
    shown: str = field(compare=False)


@dataclass(frozen=True)
class TensorValue:
    shape: Shape
    is_index: bool = False


@dataclass(frozen=True)
class Scalar:
    """A number, truth value or string; `polynomial` if it can be a dimension."""

    polynomial: Polynomial | None = None


@dataclass(frozen=True)
class NullValue:
    pass


@dataclass(frozen=True)
class ListValue:
    pass


@dataclass(frozen=True)
class FunctionValue:
    """An activation or a rotary embedding."""

    kind: str


@dataclass(frozen=True)
class WeightValue:
    """A declared weight; it exists if all `conditions` hold."""

    name: str
    kind: str
    place: Place
    outputs: Shape
    inputs: Shape = ()
    per: Shape = ()
    conditions: frozenset[Fact] = frozenset()


@dataclass(frozen=True, eq=False)
class GroupValue:
    name: str
    place: Place
    scope: AbstractScope


@dataclass(frozen=True)
class MaybeNull:
    """A value or null."""

    value: Scalar | TensorValue | FunctionValue | ListValue


Abstract = TensorValue | Scalar | NullValue | ListValue | FunctionValue | WeightValue | GroupValue | MaybeNull
AbstractScope = dict[str, "WeightValue | GroupValue"]
Names = Mapping[str, Abstract]


def maybe_null(value: Abstract) -> Abstract:
    return MaybeNull(value) if isinstance(value, Scalar | TensorValue | FunctionValue | ListValue) else value


def without_null(value: Abstract) -> Abstract:
    return value.value if isinstance(value, MaybeNull) else value


def shape_of(value: Abstract) -> str:
    """For messages."""
    match value:
        case TensorValue():
            return shape_text(value.shape)
        case Scalar():
            return "a number"
        case NullValue():
            return "null"
        case ListValue():
            return "a list"
        case FunctionValue():
            return f"the {value.kind}"
        case WeightValue():
            return f'the weight "{value.name}"'
        case GroupValue():
            return f'the group "{value.name}"'
        case MaybeNull():
            return f"{shape_of(value.value)} or null"


def facts_of(condition: Expression, holds: bool, renamed: Mapping[str, str]) -> frozenset[Fact]:
    """What follows from a condition being true or false: `a and b` gives both, `not`, `!=` turn around."""
    match condition:
        case syntax.Unary(operator="not"):
            return facts_of(condition.operand, not holds, renamed)
        case syntax.Binary(operator="and") if holds:
            return facts_of(condition.left, True, renamed) | facts_of(condition.right, True, renamed)
        case syntax.Binary(operator="or") if not holds:
            return facts_of(condition.left, False, renamed) | facts_of(condition.right, False, renamed)
        case syntax.Binary(operator="==" | "!="):
            sides = sorted(expression_text(side, renamed, True) for side in (condition.left, condition.right))
            shown = expression_text(condition)
            is_equal = (condition.operator == "==") == holds
            return frozenset((Fact(equality(*sides), is_equal, shown if holds else f"not {shown}"),))
        case _:
            text, shown = expression_text(condition, renamed), expression_text(condition)
            return frozenset((Fact(text, holds, shown if holds else f"not {shown}"),))


def equality(left: str, right: str) -> str:
    """The condition of a fact that two texts are equal; the order does not matter."""
    return " == ".join(sorted((left, right)))


def conditions_text(facts: Iterable[Fact]) -> str:
    return " and ".join(sorted(fact.shown for fact in facts))
