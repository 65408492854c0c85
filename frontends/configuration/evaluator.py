"""Evaluates expressions over config values. The tracer extends it with tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from frontends.configuration.rotary import checked_rotary
from frontends.configuration.values import (
    Activation,
    ArgumentError,
    Missing,
    arithmetic,
    boolean,
    compare,
    is_integer,
    number,
    positive_integer,
)
from frontends.errors import FrontendError, did_you_mean, show
from frontends.language import syntax
from frontends.language.catalogue import ACTIVATION_ALIASES, ACTIVATIONS, CONFIG_FUNCTIONS, bind_arguments
from frontends.language.source import Place, SourceText
from frontends.language.syntax import Expression

MAX_STEPS = 2_000_000
MAX_EVALUATION_DEPTH = 150
"""Expressions inside expanded definitions; at three Python frames each this stays below the recursion limit."""
MAX_LIST_LENGTH = 1 << 16

Environment = Mapping[str, Any]


class Evaluator:
    """Evaluates expressions of one file. `document` is the config with hub field names, `document_name` its file."""

    def __init__(self, source: SourceText, document: Mapping[str, Any], document_name: str):
        self.source = source
        self.document = document
        self.document_name = document_name
        self._steps = 0
        self._depth = 0

    def error(self, place: Place, message: str, hint: str | None = None) -> FrontendError:
        return self.source.error(place, message, hint)

    @contextmanager
    def located(
        self, place: Place, expression: Expression | None = None, arguments: Mapping[str, Expression] | None = None
    ) -> Generator[None]:
        """Gives the ValueErrors of value functions a place in the file and the origin of the values.

        The origin is that of the wrong one of `arguments` if the error names it, else of `expression`.
        """
        try:
            yield
        except ValueError as error:
            if isinstance(error, ArgumentError) and arguments:
                expression = arguments.get(error.argument, expression)
            hint = self.origin_hint(expression) if expression is not None else None
            raise self.error(place, str(error), hint) from error

    def evaluate(self, expression: Expression, environment: Environment) -> Any:
        """The value, which may be Missing. Raises FrontendError, also when the work or the depth is out of bounds."""
        self._steps += 1
        self._depth += 1
        if self._steps > MAX_STEPS or self._depth > MAX_EVALUATION_DEPTH:
            raise self.error(expression.place, "the file takes too much work to evaluate")
        try:
            return self._evaluate(expression, environment)
        finally:
            self._depth -= 1

    def known(self, expression: Expression, environment: Environment) -> Any:
        """The value, which must not be missing."""
        value = self.evaluate(expression, environment)
        if isinstance(value, Missing):
            raise self.missing(expression.place, value)
        return value

    def condition(self, expression: Expression, environment: Environment) -> bool:
        value = self.known(expression, environment)
        with self.located(expression.place, expression):
            return boolean(value, "a condition")

    def missing(self, place: Place, value: Missing) -> FrontendError:
        hint = (
            did_you_mean(value.path, value.near) or f"give a default with ??, or a value (--set {value.path[1:]}=VALUE)"
        )
        return self.error(place, f"{self.document_name} has no field {value.path}, or it is null", hint)

    def dimensions(self, expression: Expression, environment: Environment) -> tuple[int, ...]:
        """`d` or `[H, hd]` as positive integers."""
        items = expression.items if isinstance(expression, syntax.ListOf) else (expression,)
        return tuple(self.dimension(item, environment) for item in items)

    def dimension(self, expression: Expression, environment: Environment) -> int:
        value = self.known(expression, environment)
        try:
            return positive_integer(value, "a dimension")
        except ValueError as error:
            hints = [self.origin_hint(expression), "use // for exact division" if isinstance(value, float) else None]
            hint = "; ".join(hint for hint in hints if hint) or None
            raise self.error(expression.place, str(error), hint) from error

    def origin_hint(self, expression: Expression) -> str | None:
        """Where a wrong value comes from, if that is known."""
        return None

    def _evaluate(self, expression: Expression, environment: Environment) -> Any:
        match expression:
            case syntax.Number() | syntax.Text() | syntax.Constant():
                return expression.value
            case syntax.Name():
                return self.name(expression, environment)
            case syntax.Field():
                return self.field(expression)
            case syntax.Unary():
                return self._unary(expression, environment)
            case syntax.Binary():
                return self._binary(expression, environment)
            case syntax.Conditional():
                chosen = self.condition(expression.condition, environment)
                return self.evaluate(expression.value if chosen else expression.otherwise, environment)
            case syntax.Call():
                return self.call(expression, environment)
            case syntax.Index():
                return self.index(expression, environment)
            case syntax.ListOf():
                return self._sequence([self.evaluate(item, environment) for item in expression.items])
            case syntax.Comprehension():
                return self._comprehension(expression, environment)
            case syntax.Record():
                values = (self.evaluate(value, environment) for value in expression.values)
                pairs = zip(expression.keys, values, strict=True)
                return {key: value for key, value in pairs if value is not None and not isinstance(value, Missing)}
            case syntax.Reduce() | syntax.Arrow():
                return self.other(expression, environment)

    def name(self, expression: syntax.Name, environment: Environment) -> Any:
        if expression.name not in environment:
            hint = did_you_mean(expression.name, environment)
            raise self.error(expression.place, f'unknown name "{expression.name}"', hint)
        return environment[expression.name]

    def field(self, expression: syntax.Field) -> Any:
        record: Any = self.document
        for depth, key in enumerate(expression.path):
            value = cast(dict[str, Any], record).get(key) if isinstance(record, Mapping) else None
            if value is None:
                start = "." + "".join(f"{part}." for part in expression.path[:depth])
                names = cast(dict[str, Any], record) if isinstance(record, Mapping) else {}
                return Missing(expression.text, tuple(start + name for name in names if name != key))
            record = value
        return record

    def _unary(self, expression: syntax.Unary, environment: Environment) -> Any:
        if expression.operator == "not":
            return not self.condition(expression.operand, environment)
        value = self.evaluate(expression.operand, environment)
        return value if isinstance(value, Missing) else self.negate(expression, value)

    def negate(self, expression: syntax.Unary, value: Any) -> Any:
        with self.located(expression.place, expression):
            return arithmetic("-", 0, value)

    def _binary(self, expression: syntax.Binary, environment: Environment) -> Any:
        operator = expression.operator
        if operator in ("and", "or"):
            left = self.condition(expression.left, environment)
            return left if left == (operator == "or") else self.condition(expression.right, environment)
        left = self.evaluate(expression.left, environment)
        if operator == "??":
            return self.evaluate(expression.right, environment) if isinstance(left, Missing) else left
        right = self.evaluate(expression.right, environment)
        for value in (left, right):
            if isinstance(value, Missing):
                return value
        return self.binary(expression, left, right)

    def binary(self, expression: syntax.Binary, left: Any, right: Any) -> Any:
        """Arithmetic or comparison of two values that exist."""
        with self.located(expression.place, expression):
            if expression.operator in ("+", "-", "*", "/", "//", "%", "**"):
                return arithmetic(expression.operator, left, right)
            return compare(expression.operator, left, right)

    def index(self, expression: syntax.Index, environment: Environment) -> Any:
        value = self.evaluate(expression.value, environment)
        if isinstance(value, Missing):
            return value
        position = self.known(expression.index, environment)
        if not isinstance(value, list) or not is_integer(position):
            raise self.error(expression.place, f"needs a list and an integer, found {show(value)}[{show(position)}]")
        items = cast(list[Any], value)
        if not 0 <= position < len(items):
            raise self.error(expression.place, f"index {position} of a list of {len(items)}")
        return items[position]

    @staticmethod
    def _sequence(values: list[Any]) -> Any:
        return next((value for value in values if isinstance(value, Missing)), values)

    def _comprehension(self, expression: syntax.Comprehension, environment: Environment) -> Any:
        ends = [self.evaluate(end, environment) for end in (expression.start, expression.stop) if end is not None]
        for value in ends:
            if isinstance(value, Missing):
                return value
        items = self._range(expression, ends)
        variable = expression.variable
        return self._sequence([self.evaluate(expression.element, {**environment, variable: item}) for item in items])

    def _range(self, expression: syntax.Comprehension, ends: list[Any]) -> list[Any]:
        if len(ends) == 1:
            if not isinstance(ends[0], list):
                raise self.error(expression.start.place, f"needs a list, found {show(ends[0])}")
            items = cast(list[Any], ends[0])
        elif not all(is_integer(end) for end in ends):
            raise self.error(expression.start.place, f"needs integers, found {show(ends[0])}..{show(ends[1])}")
        else:
            items = range(ends[0], ends[1])
        if len(items) > MAX_LIST_LENGTH:
            raise self.error(expression.place, f"a list has at most {MAX_LIST_LENGTH} items, found {len(items)}")
        return list(items)

    def call(self, expression: syntax.Call, environment: Environment) -> Any:
        """A function of the config section."""
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else ""
        if name not in CONFIG_FUNCTIONS:
            raise self.error(function.place, f'unknown function "{name}"', did_you_mean(name, CONFIG_FUNCTIONS))
        arguments = bind_arguments(self.source, name, CONFIG_FUNCTIONS[name], expression.arguments, expression.place)
        if name == "has":
            return self._has(arguments["field"])
        values = {key: self.evaluate(value, environment) for key, value in arguments.items()}
        for value in values.values():
            if isinstance(value, Missing):
                return value
        with self.located(expression.place, expression, arguments):
            return self._function(name, values)

    def other(self, expression: syntax.Reduce | syntax.Arrow, environment: Environment) -> Any:
        """Expressions that only some sections allow."""
        raise self.error(expression.place, "is not allowed here")

    def _has(self, expression: Expression) -> bool:
        if not isinstance(expression, syntax.Field):
            raise self.error(expression.place, "has takes a config field, has(.x)")
        record: Any = self.document
        for key in expression.path[:-1]:
            record = cast(dict[str, Any], record).get(key) if isinstance(record, Mapping) else None
        return isinstance(record, Mapping) and expression.path[-1] in record

    def _function(self, name: str, values: dict[str, Any]) -> Any:
        match name:
            case "rotary":
                return checked_rotary(
                    values["dim"],
                    values["theta"],
                    values.get("scaling"),
                    values.get("max_positions"),
                    values.get("original_positions"),
                )
            case "activation":
                return _activation(values["name"])
            case "round_up":
                multiple = positive_integer(values["multiple"], "the multiple")
                return positive_integer(
                    -(-int(number(values["value"], "the value")) // multiple) * multiple, "round_up"
                )
            case "len":
                if not isinstance(values["list"], list):
                    raise ValueError(f"len takes a list, found {show(values['list'])}")
                return len(cast(list[Any], values["list"]))
            case "min" | "max":
                items = _items(name, list(values.values()))
                return min(items) if name == "min" else max(items)
            case _:
                return _numeric_function(name, number(values["value"], f"the value of {name}"))


def _items(name: str, values: list[Any]) -> list[int | float]:
    """The values, or those of one list."""
    if len(values) == 1 and isinstance(values[0], list):
        values = cast(list[Any], values[0])
    if not values:
        raise ValueError(f"{name} of an empty list")
    for value in values:
        number(value, f"a value of {name}")
    return values


def _numeric_function(name: str, value: float) -> int | float:
    functions: dict[str, Callable[[float], int | float]] = {
        "sqrt": math.sqrt,
        "log": math.log,
        "ceil": math.ceil,
        "int": int,
    }
    try:
        return functions[name](value)
    except ValueError as error:
        raise ValueError(f"{name} of {show(value)} is not a real number") from error


def _activation(name: object) -> Activation:
    if not isinstance(name, str):
        raise ValueError(f"an activation is named by a string, found {show(name)}")
    kind = ACTIVATION_ALIASES.get(name, name)
    if kind not in ACTIVATIONS:
        hint = did_you_mean(name, [*ACTIVATIONS, *ACTIVATION_ALIASES])
        known = ", ".join([*ACTIVATIONS, *ACTIVATION_ALIASES])
        raise ValueError(f"unknown activation {show(name)}" + (f", {hint}" if hint else f" (known: {known})"))
    return Activation(kind)
