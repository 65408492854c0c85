"""Static checks of statements: branches agree, loops keep shapes, every def returns; and the logits of forward."""

from __future__ import annotations

from frontends.language import syntax
from frontends.language.catalogue import TOKEN_COUNT
from frontends.language.checks.abstract import (
    Abstract,
    GroupValue,
    MaybeNull,
    Scalar,
    T,
    TensorValue,
    WeightValue,
    facts_of,
    shape_of,
    without_null,
)
from frontends.language.checks.forward import ForwardChecker, narrowed
from frontends.language.checks.weights import group_variable
from frontends.language.polynomials import Polynomial
from frontends.language.syntax import Function, Identifier, Statement

Environment = dict[str, Abstract]


class StatementChecker(ForwardChecker):
    def forward(self) -> None:
        """Checks `forward` and everything it calls."""
        forward = self.file.functions["forward"]
        names: Environment = dict(self.globals)
        for position, parameter in enumerate(forward.parameters):
            self.check_new_name(parameter.name, parameter.place, names)
            names[parameter.name] = self._input(parameter, position)
        if not forward.parameters:
            raise self.error(forward.place, "forward takes the tokens: forward(tokens: [T])")
        self.tokens = names[forward.parameters[0].name]
        logits = self.definition(forward, names)
        expected = (T, self.vocabulary) if self.vocabulary is not None else None
        if not isinstance(logits, TensorValue) or len(logits.shape) != 2 or logits.shape[0] != T:
            message = f"forward must return logits [T, V], found {shape_of(logits)}"
            raise self.error(forward.place, message)
        if expected is not None and logits.shape != expected:
            wanted = shape_of(TensorValue(expected))
            message = f"forward must return logits {wanted}, as many as the embedding has rows, found"
            raise self.error(forward.place, f"{message} {shape_of(logits)}")

    def _input(self, parameter: syntax.Parameter, position: int) -> Abstract:
        if parameter.shape is None:
            raise self.error(parameter.place, f'the input "{parameter.name}" needs a shape, {parameter.name}: [T]')
        shape = self.dimensions(parameter.shape, {**self.globals, TOKEN_COUNT: Scalar(T)})
        if position == 0 and (shape != (T,) or parameter.optional):
            raise self.error(parameter.place, "the first input of forward is the tokens: forward(tokens: [T])")
        value = TensorValue(shape, is_index=position == 0)
        return MaybeNull(value) if parameter.optional else value

    def definition(self, definition: Function, names: Environment) -> Abstract:
        self.active.append(definition.name)
        before, self.renamed = self.renamed, {}
        result = self._statements(definition.body, names, in_loop=False)
        self.active.pop()
        self.renamed = before
        if result is None:
            raise self.error(definition.place, f'"{definition.name}" does not return a value')
        return result

    def _statements(self, body: tuple[Statement, ...], names: Environment, in_loop: bool) -> Abstract | None:
        """Runs the statements on `names`; the returned value if every way through them returns."""
        returned: Abstract | None = None
        for statement in body:
            if returned is not None:
                raise self.error(statement.place, "nothing follows a return")
            match statement:
                case syntax.Assign():
                    self._check_assignable(statement.name, names)
                    names[statement.name.name] = self._assigned(statement, names)
                case syntax.Update():
                    self._update(statement, names)
                case syntax.For():
                    self._loop(statement, names)
                case syntax.If():
                    returned = self._branches(statement, names, in_loop)
                case syntax.Return():
                    if in_loop:
                        raise self.error(statement.place, "return inside of a loop")
                    returned = self.value(statement.value, names)
        return returned

    def _assigned(self, statement: syntax.Assign, names: Environment) -> Abstract:
        result = self.value(statement.value, names)
        if isinstance(result, WeightValue | GroupValue):
            raise self.error(statement.value.place, f"{shape_of(result)} is not a value", "call it")
        return result

    def _check_assignable(self, name: Identifier, names: Environment) -> None:
        value = self.globals.get(name.name, names.get(name.name))
        if isinstance(value, WeightValue | GroupValue):
            what = "weight" if isinstance(value, WeightValue) else "group of weights"
            raise self.error(name.place, f'"{name.name}" is a {what} and cannot be assigned')
        if name.name in self.globals:
            raise self.error(name.place, f'"{name.name}" is a config value and cannot be assigned')
        if name.name in self.renamed:
            raise self.error(name.place, f'"{name.name}" is the index of a loop and cannot be assigned')
        if name.name not in names:
            self.check_new_name(name.name, name.place, {})

    def _update(self, statement: syntax.Update, names: Environment) -> None:
        name = statement.name
        old = self.name(syntax.Name(name.place, name.name), names)
        self._check_assignable(name, names)
        value = self.value(statement.value, names)
        new = self.operations.arithmetic(statement.place, statement.operator, old, value)
        if isinstance(old, TensorValue) and isinstance(new, TensorValue) and old.shape != new.shape:
            raise self.error(statement.place, f'"{name.name}" {shape_of(old)} becomes {shape_of(new)}')
        names[name.name] = new

    def _loop(self, statement: syntax.For, names: Environment) -> None:
        group, variable = self.group(statement.group, names), statement.variable
        self.check_new_name(variable.name, variable.place, names)
        for name in group.scope:
            if name in names and name not in self.globals:
                message = f'"{name}" is also a weight of "{group.name}"'
                raise self.error(statement.place, message, "give the variable another name")
        before = dict(self.renamed)
        self.renamed[variable.name] = group_variable(group.name)
        index = Scalar(Polynomial.symbol(variable.name))
        inner: Environment = {**names, **group.scope, variable.name: index}
        self._statements(statement.body, inner, in_loop=True)
        self.renamed = before
        for name, old in names.items():
            if name not in group.scope and name != variable.name:
                self._check_kept(statement, name, old, inner[name])
                names[name] = inner[name] if isinstance(old, TensorValue) else _weaker(old, inner[name])

    def _check_kept(self, statement: syntax.For, name: str, old: Abstract, new: Abstract) -> None:
        plain_old, plain_new = without_null(old), without_null(new)
        same = type(plain_old) is type(plain_new)
        if not same or isinstance(old, TensorValue) and old != new:
            message = f'"{name}" enters the loop as {shape_of(old)} and leaves it as {shape_of(new)}'
            raise self.error(statement.place, message)

    def _branches(self, statement: syntax.If, names: Environment, in_loop: bool) -> Abstract | None:
        self.condition(statement.condition, names)
        results: list[tuple[Environment, Abstract | None]] = []
        before = self.facts
        for body, holds in ((statement.then, True), (statement.otherwise, False)):
            self.facts = before | facts_of(statement.condition, holds, self.renamed)
            inner = dict(narrowed(statement.condition, holds, names))
            results.append((inner, self._statements(body, inner, in_loop)))
        self.facts = before
        (then, then_result), (otherwise, other_result) = results
        if then_result is not None and other_result is not None:
            return self._join_branches(statement, "the result", then_result, other_result)
        if then_result is not None or other_result is not None:
            raise self.error(statement.place, "one branch returns and the other does not")
        self.one_sided |= then.keys() ^ otherwise.keys()
        for name in then:
            if name in otherwise:
                left, right = then[name], otherwise[name]
                names[name] = left if left is right else self._join_branches(statement, f'"{name}"', left, right)
        return None

    def _join_branches(self, statement: syntax.If, what: str, left: Abstract, right: Abstract) -> Abstract:
        if isinstance(left, TensorValue) and isinstance(right, TensorValue) and left != right:
            message = f"{what} is {shape_of(left)} in one branch and {shape_of(right)} in the other"
            raise self.error(statement.place, message)
        return self.join(statement.condition, left, right)


def _weaker(old: Abstract, new: Abstract) -> Abstract:
    """After a loop that may change a number, its value is not known."""
    return old if old == new else Scalar() if isinstance(new, Scalar) else new
