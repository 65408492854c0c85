"""Values of expressions when the config is known, and arithmetic on them. Errors are ValueErrors without a place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from frontends.errors import show

MAX_DIMENSION = 2**31 - 1
MAX_INTEGER = 2**63 - 1
MAX_EXPONENT = 64


@dataclass(frozen=True)
class Missing:
    """An absent or null config field, and any expression over it."""

    path: str
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Activation:
    """An elementwise function of catalogue.ACTIVATIONS."""

    kind: str


@dataclass(frozen=True)
class Rotary:
    """A rotary embedding: `scaling` is empty or a validated record with its `rope_type`; 0 positions: not given."""

    dim: int
    theta: float
    scaling: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_positions: int = 0
    original_positions: int = 0


class ArgumentError(ValueError):
    """A ValueError that knows which argument of a function is wrong."""

    def __init__(self, argument: str, message: str):
        super().__init__(message)
        self.argument = argument


def is_number(value: object) -> TypeGuard[int | float]:
    """An int or a finite float; a bool is not a number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def positive_integer(value: object, what: str, largest: int = MAX_DIMENSION) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{what} must be a positive integer, found {show(value)}")
    if value > largest:
        raise ValueError(f"{what} is {show(value)}, the largest accepted is {largest}")
    return value


def number(value: object, what: str) -> float:
    """A finite number as a float."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, found {show(value)}")
    return float(value)


def positive_number(value: object, what: str) -> float:
    result = number(value, what)
    if result <= 0:
        raise ValueError(f"{what} must be a positive number, found {show(value)}")
    return result


def boolean(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{what} must be true or false, found {show(value)}")
    return value


def arithmetic(operator: str, left: Any, right: Any) -> int | float:
    """`+ - * / // % **` on numbers, with a bounded result."""
    for value in (left, right):
        if not is_number(value):
            raise ValueError(f'"{operator}" needs numbers, found {show(value)}')
    try:
        result = _apply(operator, left, right)
    except ZeroDivisionError as error:
        raise ValueError(f'"{operator}" divides by zero') from error
    except OverflowError as error:
        raise ValueError(f'the result of "{operator}" is too large') from error
    if isinstance(result, complex):
        raise ValueError(f'"{operator}" of {show(left)} and {show(right)} is not a real number')
    if isinstance(result, float) and not math.isfinite(result) or abs(result) > MAX_INTEGER and is_integer(result):
        raise ValueError(f'the result of "{operator}" is too large')
    return result


def _apply(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "//":
            return left // right
        case "%":
            return left % right
        case _:
            if is_integer(left) and is_integer(right) and abs(right) > MAX_EXPONENT:
                raise OverflowError
            return left**right


def compare(operator: str, left: Any, right: Any) -> bool:
    """`== != < > <= >= in` and `not in`."""
    if operator in ("==", "!="):
        return (left == right) == (operator == "==")
    if operator in ("in", "not in"):
        if not isinstance(right, list):
            raise ValueError(f'"in" needs a list, found {show(right)}')
        return (left in right) == (operator == "in")
    for value in (left, right):
        if not is_number(value):
            raise ValueError(f'"{operator}" needs numbers, found {show(value)}')
    if operator == "<":
        return left < right
    if operator == ">":
        return left > right
    return left <= right if operator == "<=" else left >= right
