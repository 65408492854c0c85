"""Runs `forward` on symbolic tensors: conditions and numbers are evaluated, tensor operations are emitted."""

from __future__ import annotations

from typing import Any

from xdsl.utils.exceptions import VerifyException

from compiler.dialects import slm
from frontends.configuration.declared import Scope, Weight
from frontends.configuration.evaluator import Environment, Evaluator
from frontends.configuration.values import (
    Activation,
    Rotary,
    arithmetic,
    is_number,
    number,
    positive_integer,
    positive_number,
)
from frontends.errors import FrontendError, did_you_mean, shape_text
from frontends.language import syntax
from frontends.language.catalogue import ACTIVATIONS, OPERATIONS, POSITIONS, bind_arguments
from frontends.language.source import Place
from frontends.language.syntax import ArchitectureFile
from frontends.tracing.emitter import BINARY_OPS, TOKENS, Emitter, Tensor

MAX_CALL_DEPTH = 16


class ExpressionTracer(Evaluator):
    """Expressions of `forward`. Statements are in statements.py, which sets the emitter's block and layer."""

    def __init__(
        self, file: ArchitectureFile, config: dict[str, Any], scope: Scope, emitter: Emitter, origins: Evaluator
    ):
        """`origins` has evaluated the config: it knows which fields a name comes from."""
        super().__init__(file.source, origins.document, origins.document_name)
        self._origins = origins
        self.file = file
        self.emitter = emitter
        self.globals: dict[str, Any] = {**config, **scope}
        self.attention_count = 0
        self._call_depth = 0

    def origin_hint(self, expression: syntax.Expression) -> str | None:
        return self._origins.origin_hint(expression)

    def unavailable(self, place: Place, what: str) -> FrontendError:
        return self.error(place, f"{what} is in the language, but the compiler does not have it yet")

    def condition(self, expression: syntax.Expression, environment: Environment) -> bool:
        """An input's name asks whether the input is given."""
        if isinstance(expression, syntax.Name):
            value = self.evaluate(expression, environment)
            if value is None or isinstance(value, Tensor):
                return value is not None
        return super().condition(expression, environment)

    def name(self, expression: syntax.Name, environment: Environment) -> Any:
        if expression.name == POSITIONS and POSITIONS not in environment:
            raise self.unavailable(expression.place, "positions")
        value = super().name(expression, environment)
        if isinstance(value, Weight) and value.kind == "tensor":
            raise self.unavailable(expression.place, "a tensor weight as a value")
        return value

    def negate(self, expression: syntax.Unary, value: Any) -> Any:
        if isinstance(value, Tensor):
            minus_one = self.emitter.constant(expression.place, -1.0)
            return self._binary_op(expression.place, "*", value, minus_one)
        return super().negate(expression, value)

    def binary(self, expression: syntax.Binary, left: Any, right: Any) -> Any:
        if not isinstance(left, Tensor) and not isinstance(right, Tensor):
            return super().binary(expression, left, right)
        return self.tensor_arithmetic(expression.place, expression.operator, left, right)

    def tensor_arithmetic(self, place: Place, operator: str, left: Any, right: Any) -> Tensor | int | float:
        """Numbers become constants; tensors broadcast."""
        if not isinstance(left, Tensor) and not isinstance(right, Tensor):
            with self.located(place):
                return arithmetic(operator, left, right)
        if operator == "**" and isinstance(left, Tensor) and right == 2:
            operator, right = "*", left
        if operator not in BINARY_OPS:
            raise self.unavailable(place, f'"{operator}" on these tensors')
        return self._binary_op(place, operator, self._operand(place, left), self._operand(place, right))

    def _operand(self, place: Place, value: Any) -> Tensor:
        if isinstance(value, Tensor):
            if value.is_index:
                raise self.unavailable(place, "arithmetic on token indices")
            return value
        if not is_number(value):
            raise self.error(place, "arithmetic needs numbers or tensors")
        return self.emitter.constant(place, float(value))

    def _binary_op(self, place: Place, operator: str, left: Tensor, right: Tensor) -> Tensor:
        try:
            return self.emitter.binary(place, operator, left, right)
        except VerifyException as error:
            shapes = f"{token_shape(left)} and {token_shape(right)}"
            raise self.error(place, f'"{operator}" of shapes {shapes}') from error

    def index(self, expression: syntax.Index, environment: Environment) -> Any:
        value = self.evaluate(expression.value, environment)
        if isinstance(value, Tensor):
            raise self.unavailable(expression.place, "a column of a tensor")
        return super().index(expression, environment)

    def other(self, expression: syntax.Reduce | syntax.Arrow, environment: Environment) -> Any:
        if isinstance(expression, syntax.Reduce):
            raise self.unavailable(expression.place, "a sum over a group (a mixture of experts)")
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
        return self._operation(expression.place, name, values, bound)

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
        tensor = self._tensor(expression.place, x)
        match value:
            case Weight():
                return self._call_weight(expression.place, value, tensor)
            case Activation():
                return self._activation(expression.place, value.kind, tensor)
            case Rotary():
                self._check_rotary(expression.place, value, tensor)
                return self.emitter.rope(expression.place, tensor, value)
            case _:
                raise self.error(expression.place, "this cannot be called")

    def _tensor(self, place: Place, value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            raise self.error(place, "needs a tensor")
        return value

    def _call_weight(self, place: Place, weight: Weight, x: Tensor) -> Tensor:
        if weight.kind == "embedding":
            if not x.is_index:
                raise self.error(place, f'"{weight.name}" takes token indices')
            return self.emitter.embedding(place, x, weight)
        if weight.kind in ("layer_norm", "causal_conv") or weight.per:
            raise self.unavailable(place, f"{weight.kind}{' with per=' if weight.per else ''}")
        takes = weight.inputs if weight.kind == "linear" else weight.outputs
        if x.is_index or x.shape[len(x.shape) - len(takes) :] != takes:
            found = f"[..., {', '.join(str(dimension) for dimension in takes)}], found {token_shape(x)}"
            raise self.error(place, f'"{weight.name}" takes {found}')
        if weight.kind == "rms_norm":
            return self.emitter.rms_norm(place, x, weight)
        if len(x.shape) != len(takes) + 1 or x.shape[0] != TOKENS:
            raise self.unavailable(place, "a linear on other than one row for each token")
        return self.emitter.linear(place, x, weight)

    def _activation(self, place: Place, kind: str, x: Tensor) -> Tensor:
        if kind not in slm.ACTIVATIONS:
            raise self.unavailable(place, f'the activation "{kind}"')
        return self.emitter.activation(place, kind, x)

    def _check_rotary(self, place: Place, rotary: Rotary, x: Tensor) -> None:
        if len(x.shape) != 3 or rotary.dim > x.shape[2]:
            raise self.error(place, f"rotary of {rotary.dim} dimensions on {token_shape(x)}")

    def _operation(self, place: Place, name: str, values: dict[str, Any], bound: dict[str, syntax.Expression]) -> Any:
        if name in ACTIVATIONS:
            return self._activation(place, name, self._tensor(place, values["x"]))
        if name == "sqrt" and not isinstance(values["value"], Tensor):
            with self.located(place):
                return positive_number(values["value"], "the value of sqrt") ** 0.5
        if name == "attention":
            return self._attention(place, values, bound)
        if name == "softcap":
            return self._softcap(place, self._tensor(place, values["x"]), values["cap"], bound["cap"])
        raise self.unavailable(place, name)

    def _softcap(self, place: Place, x: Tensor, cap: Any, expression: syntax.Expression) -> Tensor:
        """c tanh(x / c)."""
        if cap is None:
            return x
        with self.located(place, expression):
            limit = self.emitter.constant(place, positive_number(cap, "a softcap"))
        scaled = self._binary_op(place, "/", x, limit)
        return self._binary_op(place, "*", self.emitter.activation(place, "tanh", scaled), limit)

    def _attention(self, place: Place, values: dict[str, Any], bound: dict[str, syntax.Expression]) -> Tensor:
        q, k, v = (self._tensor(place, values[key]) for key in ("q", "k", "v"))
        if len(q.shape) != 3 or k.shape != v.shape or len(k.shape) != 3 or q.shape[2] != k.shape[2]:
            shapes = ", ".join(token_shape(tensor) for tensor in (q, k, v))
            raise self.error(place, f"attention takes q [T, H, hd], k and v [S, G, hd], found {shapes}")
        if q.shape[1] % k.shape[1]:
            message = (
                f"attention needs a multiple of the k/v heads, found {q.shape[1]} heads and {k.shape[1]} k/v heads"
            )
            raise self.error(place, message)
        if values.get("causal", True) is not True or q.shape[0] != TOKENS or k.shape[0] != TOKENS:
            raise self.unavailable(place, "attention that is not causal over the tokens")
        window, scale, softcap = (values.get(key) for key in ("window", "scale", "softcap"))
        with self.located(place, bound.get("window")):
            width = None if window is None else positive_integer(window, "a window")
        with self.located(place, bound.get("scale")):
            factor = q.shape[2] ** -0.5 if scale is None else number(scale, "the attention scale")
        with self.located(place, bound.get("softcap")):
            cap = None if softcap is None else positive_number(softcap, "a softcap")
        state = self.attention_count
        self.attention_count += 1
        return self.emitter.attention(place, (q, k, v), state, factor, width, cap)


def token_shape(tensor: Tensor) -> str:
    """`[T, 64]`."""
    return shape_text("T" if dimension == TOKENS else dimension for dimension in tensor.shape)
