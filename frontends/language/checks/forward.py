"""Static checks of expressions in defs: names, calls, conditions of weights, shapes."""

from __future__ import annotations

from frontends.errors import did_you_mean, plural
from frontends.language import syntax
from frontends.language.catalogue import OPERATIONS, POSITIONS, bind_arguments
from frontends.language.checks.abstract import (
    Abstract,
    AbstractScope,
    Fact,
    FunctionValue,
    GroupValue,
    MaybeNull,
    Names,
    NullValue,
    Scalar,
    T,
    TensorValue,
    WeightValue,
    conditions_text,
    facts_of,
    shape_of,
)
from frontends.language.checks.config import ConfigChecker
from frontends.language.checks.operations import OperationChecker
from frontends.language.checks.weights import group_variable
from frontends.language.polynomials import ONE, Polynomial
from frontends.language.syntax import ArchitectureFile, Function

MAX_CALL_DEPTH = 16


class ForwardChecker(ConfigChecker):
    """Expressions of defs; statements.py has the statements. Keeps the facts that hold at the current place."""

    def __init__(self, file: ArchitectureFile, config: ConfigChecker, scope: AbstractScope):
        super().__init__(file)
        self.fields_allowed = False
        self.used = config.used
        self.scope = scope
        self.globals: dict[str, Abstract] = {**config.names, **scope}
        self.operations = OperationChecker(file.source)
        self.facts: frozenset[Fact] = frozenset()
        self.renamed: dict[str, str] = {}
        self.used_weights: set[WeightValue] = set()
        self.active: list[str] = []
        self.called: set[str] = {"forward"}
        self.vocabulary: Polynomial | None = None
        """Rows of the embedding of the tokens."""
        self.one_sided: set[str] = set()
        """Names that were assigned in one branch of an `if` only."""
        self.tokens: Abstract | None = None

    def name(self, expression: syntax.Name, names: Names) -> Abstract:
        if expression.name == POSITIONS and POSITIONS not in names:
            return TensorValue((T,), is_index=True)
        if expression.name not in names and expression.name in self.one_sided:
            message = f'unknown name "{expression.name}"'
            raise self.error(expression.place, message, "it is assigned in one branch of an if only")
        value = super().name(expression, names)
        if isinstance(value, WeightValue) and value.kind == "tensor":
            self._check_exists(expression, value, "use it")
            return TensorValue(value.outputs)
        return value

    def _check_exists(self, expression: syntax.Call | syntax.Name, weight: WeightValue, verb: str) -> None:
        self.used_weights.add(weight)
        if not weight.conditions <= self.facts:
            missing = conditions_text(weight.conditions - self.facts)
            name = weight.name
            hint = f"write {name}?(...), or call it" if verb == "call it" else verb
            message = f'"{name}" exists only if {missing}'
            raise self.error(expression.place, message, f"{hint} under the same condition")

    def unary(self, expression: syntax.Unary, names: Names) -> Abstract:
        value = self.value(expression.operand, names)
        if expression.operator == "-" and isinstance(value, TensorValue):
            return self.operations.tensor(expression.place, '"-"', value)
        if isinstance(value, TensorValue):
            raise self.error(expression.place, "a condition depends only on config values")
        return super().unary(expression, names)

    def binary(self, expression: syntax.Binary, names: Names) -> Abstract:
        operator = expression.operator
        left, right = self.value(expression.left, names), self.value(expression.right, names)
        if operator in ("+", "-", "*", "/", "//", "%", "**"):
            return self.operations.arithmetic(expression.place, operator, left, right)
        if operator == "??":
            raise self.error(expression.place, '"??" belongs in the config section')
        if isinstance(left, TensorValue) or isinstance(right, TensorValue):
            raise self.error(expression.place, "a condition depends only on config values")
        return Scalar()

    def conditional(self, expression: syntax.Conditional, names: Names) -> Abstract:
        self.condition(expression.condition, names)
        left = self.under(expression.condition, True, expression.value, names)
        right = self.under(expression.condition, False, expression.otherwise, names)
        return self.join(expression, left, right)

    def condition(self, expression: syntax.Expression, names: Names) -> None:
        """A condition over config values, or the name of an optional input."""
        value = self.value(expression, names)
        if isinstance(value, MaybeNull) and isinstance(expression, syntax.Name):
            return
        if not isinstance(value, Scalar):
            raise self.error(expression.place, f"a condition depends only on config values, found {shape_of(value)}")

    def under(self, condition: syntax.Expression, holds: bool, expression: syntax.Expression, names: Names) -> Abstract:
        """The value where a condition is true or false."""
        before = self.facts
        self.facts = before | facts_of(condition, holds, self.renamed)
        value = self.value(expression, narrowed(condition, holds, names))
        self.facts = before
        return value

    def index(self, expression: syntax.Index, names: Names) -> Abstract:
        value = self.value(expression.value, names)
        if not isinstance(value, TensorValue):
            return super().index(expression, names)
        x = self.operations.row(expression.place, "an index", value)
        self.number(expression.index, names, "an index")
        return TensorValue((*x.shape[:-1], ONE))

    def reduce(self, expression: syntax.Reduce, names: Names) -> Abstract:
        if not isinstance(expression.function, syntax.Name) or expression.function.name != "sum":
            raise self.error(expression.place, "only sum(... for e in group) is known")
        group = self.group(expression.group, names)
        self.check_new_name(expression.variable, expression.place, names)
        before = dict(self.renamed)
        self.renamed[expression.variable] = group_variable(group.name)
        variable = Scalar(Polynomial.symbol(expression.variable))
        value = self.value(expression.element, {**names, **group.scope, expression.variable: variable})
        self.renamed = before
        return self.operations.tensor(expression.place, "sum", value)

    def group(self, name: syntax.Name | syntax.Identifier, names: Names) -> GroupValue:
        value = names.get(name.name)
        if not isinstance(value, GroupValue):
            groups = [key for key, item in names.items() if isinstance(item, GroupValue)]
            hint = did_you_mean(name.name, groups)
            raise self.error(name.place, f'"{name.name}" is not a group of weights', hint)
        return value

    def call(self, expression: syntax.Call, names: Names) -> Abstract:
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else None
        if name is None:
            raise self.error(expression.place, "only a name can be called")
        if name in names:
            return self._call_value(expression, name, names)
        if expression.optional:
            raise self.error(expression.place, f'"{name}" always exists', "remove the ?")
        if name in self.file.functions:
            return self._call_definition(expression, self.file.functions[name], names)
        if name not in OPERATIONS:
            hint = did_you_mean(name, [*names, *OPERATIONS, *self.file.functions])
            raise self.error(function.place, f'unknown operation or weight "{name}"', hint)
        bound = bind_arguments(self.file.source, name, OPERATIONS[name], expression.arguments, expression.place)
        values = {key: self.value(value, names) for key, value in bound.items()}
        result = self.operations.operation(expression.place, name, values)
        if name == "attention":
            causal = bound.get("causal")
            is_causal = causal is None or isinstance(causal, syntax.Constant) and causal.value is True
            self.operations.token_attention(expression.place, values, is_causal)
        return result

    def _call_value(self, expression: syntax.Call, name: str, names: Names) -> Abstract:
        """A weight, an activation or a rotary embedding."""
        called = self.name(syntax.Name(expression.place, name), names)
        arguments = expression.arguments
        if len(arguments) != 1 or arguments[0].name is not None:
            raise self.error(expression.place, f'"{name}" takes one value, found {len(arguments)}')
        value = self.value(arguments[0].value, names)
        if isinstance(called, WeightValue):
            return self._call_weight(expression, called, value)
        function = called.value if isinstance(called, MaybeNull) else called
        if not isinstance(function, FunctionValue):
            raise self.error(expression.place, f'"{name}" is {shape_of(called)} and cannot be called')
        if isinstance(called, MaybeNull) and not expression.optional:
            raise self.error(expression.place, f'"{name}" may be null', f"write {name}?(...)")
        if expression.optional and not isinstance(called, MaybeNull):
            raise self.error(expression.place, f'"{name}" always exists', "remove the ?")
        if function.kind == "rotary":
            return self.operations.rotary(expression.place, name, value)
        return self.operations.tensor(expression.place, f'"{name}"', value)

    def _call_weight(self, expression: syntax.Call, weight: WeightValue, value: Abstract) -> Abstract:
        if expression.optional and not weight.conditions:
            raise self.error(expression.place, f'"{weight.name}" always exists', "remove the ?")
        if not expression.optional:
            self._check_exists(expression, weight, "call it")
        self.used_weights.add(weight)
        result = self.operations.weight(expression.place, weight, value)
        if weight.kind == "embedding" and value is self.tokens:
            self.vocabulary = weight.outputs[0]
        if expression.optional:
            return self.operations.optional_weight(expression.place, weight, value, result, self.facts)
        return result

    def _call_definition(self, expression: syntax.Call, definition: Function, names: Names) -> Abstract:
        if definition.name in self.active or definition.name == "forward":
            raise self.error(expression.place, f'"{definition.name}" calls itself')
        if len(self.active) >= MAX_CALL_DEPTH:
            raise self.error(expression.place, f"defs call each other more than {MAX_CALL_DEPTH} levels deep")
        self.called.add(definition.name)
        if any(argument.name is not None for argument in expression.arguments):
            raise self.error(expression.place, f"{definition.name} takes its values by position")
        values = [self.value(argument.value, names) for argument in expression.arguments]
        if len(values) != len(definition.parameters):
            wanted = plural(len(definition.parameters), "value")
            message = f"{definition.name} takes {wanted}, found {len(values)}"
            raise self.error(expression.place, message)
        inner = dict(self.globals)
        for parameter, value in zip(definition.parameters, values, strict=True):
            self._check_parameter(expression, definition, parameter, value)
            inner[parameter.name] = value
        return self.definition(definition, inner)

    def _check_parameter(
        self, expression: syntax.Call, definition: Function, parameter: syntax.Parameter, value: Abstract
    ) -> None:
        if parameter.shape is None:
            return
        shape = self.dimensions(parameter.shape, {**self.globals, "T": Scalar(T)})
        plain = value.value if isinstance(value, MaybeNull) and parameter.optional else value
        if not isinstance(plain, NullValue) and (not isinstance(plain, TensorValue) or plain.shape != shape):
            expected = shape_of(TensorValue(shape))
            message = f'"{definition.name}" takes {parameter.name} {expected}, found {shape_of(value)}'
            raise self.error(expression.place, message)

    def definition(self, definition: Function, names: dict[str, Abstract]) -> Abstract:
        """The value that a def returns with these parameters."""
        raise NotImplementedError


def narrowed(condition: syntax.Expression, holds: bool, names: Names) -> Names:
    """Under `if x`, an optional x is given; under its `else` it is null."""
    if isinstance(condition, syntax.Unary) and condition.operator == "not":
        return narrowed(condition.operand, not holds, names)
    if not isinstance(condition, syntax.Name):
        return names
    value = names.get(condition.name)
    if not isinstance(value, MaybeNull):
        return names
    return {**names, condition.name: value.value if holds else NullValue()}
