"""Static checks of expressions over config values, and of the config section."""

from __future__ import annotations

from frontends.errors import FrontendError, did_you_mean
from frontends.language import syntax
from frontends.language.catalogue import (
    CONFIG_FUNCTIONS,
    DIALECT_FUNCTIONS,
    OPERATIONS,
    RESERVED_NAMES,
    bind_arguments,
)
from frontends.language.checks.abstract import (
    Abstract,
    FunctionValue,
    GroupValue,
    ListValue,
    MaybeNull,
    Names,
    NullValue,
    Scalar,
    Shape,
    TensorValue,
    WeightValue,
    maybe_null,
    shape_of,
    without_null,
)
from frontends.language.formatting import expression_text
from frontends.language.polynomials import Polynomial
from frontends.language.source import Place
from frontends.language.syntax import ArchitectureFile, Expression

MAX_STEPS = 200_000
MAX_EVALUATION_DEPTH = 150


class ConfigChecker:
    """Expressions over config values. `used` collects the config names that something reads."""

    def __init__(self, file: ArchitectureFile):
        self.file = file
        self.names: dict[str, Abstract] = {}
        self.used: set[str] = set()
        self.fields_allowed = True
        self._steps = 0
        self._depth = 0

    def error(self, place: Place, message: str, hint: str | None = None) -> FrontendError:
        return self.file.source.error(place, message, hint)

    def section(self) -> None:
        """The config section: names are defined once, before they are used."""
        for line in self.file.config:
            if isinstance(line, syntax.Let):
                self.check_new_name(line.name, line.place, self.names)
                value = self.value(line.value, self.names)
                self.names[line.name] = self._named(line, value)
            elif isinstance(line, syntax.Require):
                self.value(line.condition, self.names)
        self.fields_allowed = False

    def check_new_name(self, name: str, place: Place, known: Names) -> None:
        if name in known:
            raise self.error(place, f'"{name}" is already defined')
        if name in RESERVED_NAMES or name in OPERATIONS:
            raise self.error(place, f'"{name}" is a name of the language')
        if name in self.file.functions:
            raise self.error(place, f'"{name}" is already defined, as a def')

    def _named(self, line: syntax.Let, value: Abstract) -> Abstract:
        """A number becomes a symbol of dimensions."""
        symbol = Scalar(Polynomial.symbol(line.name))
        if isinstance(value, NullValue):
            return MaybeNull(symbol)
        if isinstance(value, MaybeNull):
            return MaybeNull(symbol) if isinstance(value.value, Scalar) else value
        return symbol if isinstance(value, Scalar) else value

    def value(self, expression: Expression, names: Names) -> Abstract:
        """The abstract value. Raises FrontendError for unknown names and functions, and for too much work."""
        self._steps += 1
        self._depth += 1
        if self._steps > MAX_STEPS or self._depth > MAX_EVALUATION_DEPTH:
            raise self.error(expression.place, "the file takes too much work to check")
        try:
            return self.expression(expression, names)
        finally:
            self._depth -= 1

    def dimensions(self, expression: Expression, names: Names) -> Shape:
        """`d` or `[H, hd]`."""
        items = expression.items if isinstance(expression, syntax.ListOf) else (expression,)
        return tuple(self.dimension(item, names) for item in items)

    def dimension(self, expression: Expression, names: Names) -> Polynomial:
        value = self.value(expression, names)
        if not isinstance(value, Scalar) or isinstance(expression, syntax.Text | syntax.Constant):
            raise self.error(expression.place, f"a dimension must be an integer, found {shape_of(value)}")
        if isinstance(expression, syntax.Number) and (value.polynomial is None or not expression.value):
            raise self.error(expression.place, f"a dimension must be a positive integer, found {expression.value}")
        return value.polynomial or Polynomial.symbol(f"({expression_text(expression)})")

    def expression(self, expression: Expression, names: Names) -> Abstract:
        match expression:
            case syntax.Number():
                is_integer = isinstance(expression.value, int)
                return Scalar(Polynomial.constant(int(expression.value)) if is_integer else None)
            case syntax.Text():
                return Scalar()
            case syntax.Constant():
                return NullValue() if expression.value is None else Scalar()
            case syntax.Field():
                return self._field(expression)
            case syntax.Name():
                return self.name(expression, names)
            case syntax.Unary():
                return self.unary(expression, names)
            case syntax.Binary():
                return self.binary(expression, names)
            case syntax.Conditional():
                return self.conditional(expression, names)
            case syntax.Call():
                return self.call(expression, names)
            case syntax.Index():
                return self.index(expression, names)
            case syntax.ListOf():
                for item in expression.items:
                    self.value(item, names)
                return ListValue()
            case syntax.Comprehension():
                return self.comprehension(expression, names)
            case syntax.Record():
                for item in expression.values:
                    self.value(item, names)
                return Scalar()
            case syntax.Reduce():
                return self.reduce(expression, names)
            case syntax.Arrow():
                raise self.error(expression.place, '"->" belongs in linear(inputs -> outputs)')

    def _field(self, expression: syntax.Field) -> Abstract:
        if not self.fields_allowed:
            hint = f"add a line there: name = {expression.text}"
            message = f"{expression.text}: config fields are read in the config section only"
            raise self.error(expression.place, message, hint)
        return Scalar()

    def name(self, expression: syntax.Name, names: Names) -> Abstract:
        if expression.name not in names:
            hint = did_you_mean(expression.name, names)
            raise self.error(expression.place, f'unknown name "{expression.name}"', hint)
        self.used.add(expression.name)
        return names[expression.name]

    def number(self, expression: Expression, names: Names, what: str) -> Scalar:
        """A value that must be one number (or truth value) and not null."""
        value = self.value(expression, names)
        if isinstance(value, MaybeNull | NullValue):
            raise self.error(expression.place, f"{what}: this may be null")
        if not isinstance(value, Scalar):
            raise self.error(expression.place, f"{what}: expected a number, found {shape_of(value)}")
        return value

    def unary(self, expression: syntax.Unary, names: Names) -> Abstract:
        self.number(expression.operand, names, f'"{expression.operator}"')
        return Scalar()

    def binary(self, expression: syntax.Binary, names: Names) -> Abstract:
        operator = expression.operator
        if operator == "??":
            left, right = self.value(expression.left, names), self.value(expression.right, names)
            if isinstance(right, NullValue):
                return maybe_null(left)
            known = left if not isinstance(left, Scalar) else right
            return MaybeNull(Scalar()) if isinstance(right, MaybeNull) and isinstance(known, Scalar) else known
        if operator in ("and", "or", "==", "!=", "in", "not in"):
            self.value(expression.left, names)
            self.value(expression.right, names)
            return Scalar()
        what = f'"{operator}"'
        left, right = self.number(expression.left, names, what), self.number(expression.right, names, what)
        return Scalar(combine(operator, left.polynomial, right.polynomial))

    def conditional(self, expression: syntax.Conditional, names: Names) -> Abstract:
        self.value(expression.condition, names)
        return self.join(expression, self.value(expression.value, names), self.value(expression.otherwise, names))

    def join(self, expression: Expression, left: Abstract, right: Abstract) -> Abstract:
        """The value of `left if ... else right`."""
        if isinstance(left, NullValue):
            return maybe_null(right)
        if isinstance(right, NullValue):
            return maybe_null(left)
        plain_left, plain_right = without_null(left), without_null(right)
        if isinstance(plain_left, Scalar) and isinstance(plain_right, Scalar):
            same = plain_left.polynomial == plain_right.polynomial
            result: Abstract = plain_left if same else Scalar()
        elif type(plain_left) is not type(plain_right) or isinstance(plain_left, WeightValue | GroupValue):
            raise self.error(expression.place, f"the two sides are {shape_of(left)} and {shape_of(right)}")
        elif isinstance(plain_left, TensorValue) and plain_left != plain_right:
            message = f"the two sides have shapes {shape_of(plain_left)} and {shape_of(plain_right)}"
            raise self.error(expression.place, message)
        else:
            result = plain_left
        return maybe_null(result) if isinstance(left, MaybeNull) or isinstance(right, MaybeNull) else result

    def index(self, expression: syntax.Index, names: Names) -> Abstract:
        value = self.value(expression.value, names)
        self.number(expression.index, names, "an index")
        if not isinstance(value, ListValue | Scalar):
            raise self.error(expression.place, f"an index needs a list, found {shape_of(value)}")
        return Scalar()

    def comprehension(self, expression: syntax.Comprehension, names: Names) -> Abstract:
        if expression.variable in names:
            raise self.error(expression.place, f'"{expression.variable}" is already defined')
        for end in (expression.start, expression.stop):
            if end is not None:
                self.value(end, names)
        variable = Scalar(Polynomial.symbol(expression.variable))
        self.value(expression.element, {**names, expression.variable: variable})
        return ListValue()

    def reduce(self, expression: syntax.Reduce, names: Names) -> Abstract:
        raise self.error(expression.place, "a sum over a group belongs in a def")

    def call(self, expression: syntax.Call, names: Names) -> Abstract:
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else ""
        if name not in CONFIG_FUNCTIONS:
            if name in DIALECT_FUNCTIONS:
                raise self.error(function.place, f"{name} belongs in the dialect tables of common.slm")
            raise self.error(function.place, f'unknown function "{name}"', did_you_mean(name, CONFIG_FUNCTIONS))
        if expression.optional:
            raise self.error(expression.place, f'"{name}" always exists', "remove the ?")
        bound = bind_arguments(self.file.source, name, CONFIG_FUNCTIONS[name], expression.arguments, expression.place)
        if name == "has" and not isinstance(bound["field"], syntax.Field):
            raise self.error(bound["field"].place, "has takes a config field, has(.x)")
        for value in bound.values():
            self.value(value, names)
        return FunctionValue(name) if name in ("rotary", "activation") else Scalar()


def combine(operator: str, left: Polynomial | None, right: Polynomial | None) -> Polynomial | None:
    """Arithmetic on dimensions; None if the result is no polynomial."""
    if left is None or right is None:
        return None
    match operator:
        case "+":
            return left.plus(right)
        case "-":
            return left.plus(right, -1)
        case "*":
            return left.times(right)
        case "**" if right.value == 2:
            return left.times(left)
        case "//" if right.value == 1:
            return left
        case "//":
            return Polynomial.symbol(f"({left} // {right})")
        case _:
            return None
