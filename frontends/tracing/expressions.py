"""Runs `forward` on symbolic tensors: conditions and numbers are evaluated, tensor operations are emitted."""

from __future__ import annotations

from typing import Any

from frontends.configuration.declared import Scope, Weight
from frontends.configuration.evaluator import Environment, Evaluator
from frontends.configuration.values import (
    MAX_DIMENSION,
    Activation,
    Rotary,
    arithmetic,
    is_integer,
    is_number,
)
from frontends.errors import did_you_mean
from frontends.language import syntax
from frontends.language.catalogue import OPERATIONS, POSITIONS, bind_arguments
from frontends.language.source import Place
from frontends.language.syntax import ArchitectureFile
from frontends.tracing.emitter import BINARY_OPS, Emitter, Positions, Tensor
from frontends.tracing.mixture import MixtureTracer

MAX_CALL_DEPTH = 16
MAX_POWER = 16


class ExpressionTracer(MixtureTracer):
    """Expressions of `forward`. Statements are in statements.py, which sets the emitter's block and layer."""

    def __init__(
        self, file: ArchitectureFile, config: dict[str, Any], scope: Scope, emitter: Emitter, origins: Evaluator
    ):
        super().__init__(file, emitter, origins)
        self.file = file
        self.globals: dict[str, Any] = {**config, **scope}
        self._call_depth = 0

    def condition(self, expression: syntax.Expression, environment: Environment) -> bool:
        """An input's name asks whether the input is given."""
        if isinstance(expression, syntax.Name):
            value = self.evaluate(expression, environment)
            if value is None or isinstance(value, Tensor):
                return value is not None
        return super().condition(expression, environment)

    def name(self, expression: syntax.Name, environment: Environment) -> Any:
        if expression.name == POSITIONS and POSITIONS not in environment:
            return Positions()
        value = super().name(expression, environment)
        if isinstance(value, Weight) and value.kind == "tensor" and value.present:
            return self.emitter.tensor(expression.place, value)
        return value

    def negate(self, expression: syntax.Unary, value: Any) -> Any:
        if isinstance(value, Tensor):
            minus_one = self.emitter.constant(expression.place, -1.0)
            return self.binary_op(expression.place, "*", value, minus_one)
        return super().negate(expression, value)

    def binary(self, expression: syntax.Binary, left: Any, right: Any) -> Any:
        if not isinstance(left, Tensor | Positions) and not isinstance(right, Tensor | Positions):
            return super().binary(expression, left, right)
        return self.tensor_arithmetic(expression.place, expression.operator, left, right)

    def tensor_arithmetic(self, place: Place, operator: str, left: Any, right: Any) -> Tensor | Positions | int | float:
        """Numbers become constants; tensors broadcast."""
        if isinstance(left, Positions) or isinstance(right, Positions):
            return self._shifted(place, operator, left, right)
        if not isinstance(left, Tensor) and not isinstance(right, Tensor):
            with self.located(place):
                return arithmetic(operator, left, right)
        if operator == "**" and isinstance(left, Tensor) and is_integer(right) and 1 <= right <= MAX_POWER:
            return self._power(place, left, right)
        if operator not in BINARY_OPS:
            raise self.unavailable(place, f'"{operator}" on these tensors')
        return self.binary_op(place, operator, self._operand(place, left), self._operand(place, right))

    def _shifted(self, place: Place, operator: str, left: Any, right: Any) -> Positions:
        """Positions plus or minus a whole number."""
        if operator == "+" and isinstance(right, Positions):
            left, right = right, left
        if operator not in ("+", "-") or not isinstance(left, Positions) or not is_integer(right):
            raise self.unavailable(place, "arithmetic on positions other than + and - of a whole number")
        offset = left.offset + (right if operator == "+" else -right)
        if not 0 <= offset <= MAX_DIMENSION:
            raise self.error(place, f"positions start at 0 or more and below 2^31, found {offset}")
        return Positions(offset)

    def _power(self, place: Place, x: Tensor, exponent: int) -> Tensor:
        """((x * x) * x) ..."""
        base = result = self._operand(place, x)
        for _ in range(exponent - 1):
            result = self.binary_op(place, "*", result, base)
        return result

    def _operand(self, place: Place, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            if value.is_index:
                raise self.unavailable(place, "arithmetic on token indices")
            return value
        if not is_number(value):
            raise self.error(place, "arithmetic needs numbers or tensors")
        return self.emitter.constant(place, float(value))

    def index(self, expression: syntax.Index, environment: Environment) -> Any:
        value = self.evaluate(expression.value, environment)
        if isinstance(value, Tensor):
            return self.column(expression, value, environment)
        return super().index(expression, environment)

    def other(self, expression: syntax.Reduce | syntax.Arrow, environment: Environment) -> Any:
        if isinstance(expression, syntax.Reduce):
            return self.reduce(expression, environment)
        return super().other(expression, environment)

    def call(self, expression: syntax.Call, environment: Environment) -> Any:
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else None
        if name is None or name in environment:
            return self._call_value(expression, self.evaluate(function, environment), environment)
        if name in self.file.functions:
            return self._call_definition(expression, self.file.functions[name], environment)
        if name not in OPERATIONS:
            hint = did_you_mean(name, [*environment, *OPERATIONS])
            raise self.error(function.place, f'unknown operation or weight "{name}"', hint)
        bound = bind_arguments(self.source, name, OPERATIONS[name], expression.arguments, expression.place)
        values = {key: self.known(value, environment) for key, value in bound.items()}
        return self.operation(expression.place, name, values, bound)

    def _call_definition(self, expression: syntax.Call, definition: syntax.Function, environment: Environment) -> Any:
        values = [self.known(argument.value, environment) for argument in expression.arguments]
        if len(values) != len(definition.parameters):
            message = f"{definition.name} takes {len(definition.parameters)} values, found {len(values)}"
            raise self.error(expression.place, message)
        if self._call_depth >= MAX_CALL_DEPTH:
            raise self.error(expression.place, f'"{definition.name}" is called more than {MAX_CALL_DEPTH} levels deep')
        names = (parameter.name for parameter in definition.parameters)
        self._call_depth += 1
        result = self.run(definition.body, {**self.globals, **dict(zip(names, values, strict=True))})
        self._call_depth -= 1
        return result

    def run(self, body: tuple[syntax.Statement, ...], environment: dict[str, Any]) -> Any:
        """The value that the statements return."""
        raise NotImplementedError

    def _call_value(self, expression: syntax.Call, value: Any, environment: Environment) -> Any:
        """A weight, an activation or a rotary embedding; with `?` an absent one is the identity."""
        if len(expression.arguments) != 1 or expression.arguments[0].name is not None:
            raise self.error(expression.place, "a weight or function of the config takes one value")
        x = self.known(expression.arguments[0].value, environment)
        absent = value is None or isinstance(value, Weight) and not value.present
        if absent and expression.optional:
            return x
        if absent:
            raise self.error(expression.place, "this does not exist with this config")
        if isinstance(x, Positions) and isinstance(value, Weight):
            self.check_table(expression.place, value, x)
        tensor = self.tensor_of(expression.place, x)
        match value:
            case Weight():
                return self.call_weight(expression.place, value, tensor)
            case Activation():
                return self.emitter.activation(expression.place, value.kind, tensor)
            case Rotary():
                self.check_rotary(expression.place, value, tensor)
                return self.emitter.rope(expression.place, tensor, value)
            case _:
                raise self.error(expression.place, "this cannot be called")
