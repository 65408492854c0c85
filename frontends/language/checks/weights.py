"""Static checks of the weights section: kinds, options, names, symbolic shapes, conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from frontends.errors import did_you_mean
from frontends.language import syntax
from frontends.language.catalogue import KINDS, bind_arguments
from frontends.language.checks.abstract import (
    AbstractScope,
    Fact,
    GroupValue,
    Names,
    Scalar,
    Shape,
    WeightValue,
    facts_of,
)
from frontends.language.checks.config import ConfigChecker
from frontends.language.polynomials import Polynomial
from frontends.language.source import Place
from frontends.language.syntax import Expression

MAX_GROUP_DEPTH = 4


class WeightsChecker:
    def __init__(self, config: ConfigChecker):
        self._config = config
        self._variables: dict[str, str] = {}
        """Group variable -> the text that stands for it in facts."""

    def section(self) -> AbstractScope:
        return self._scope(self._config.file.weights, self._config.names, frozenset())

    def _scope(self, body: tuple[syntax.Declaration, ...], names: Names, conditions: frozenset[Fact]) -> AbstractScope:
        scope: AbstractScope = {}
        for declaration in body:
            known = {**names, **scope}
            match declaration:
                case syntax.WeightDeclaration():
                    for weight in self._weights(declaration, known, conditions):
                        self._check_not_inside(weight.name, weight.place, scope)
                        scope[weight.name] = weight
                case syntax.GroupDeclaration():
                    self._check_not_inside(declaration.name.name, declaration.name.place, scope)
                    scope[declaration.name.name] = self._group(declaration, known, conditions)
                case syntax.ConditionalDeclaration():
                    self._config.value(declaration.condition, known)
                    for branch, holds in ((declaration.then, True), (declaration.otherwise, False)):
                        facts = facts_of(declaration.condition, holds, self._variables)
                        scope.update(self._scope(branch, {**names, **scope}, conditions | facts))
        return scope

    def _check_not_inside(self, name: str, place: Place, scope: AbstractScope) -> None:
        """A weight of a group would hide a later one outside of it, as it would an earlier one."""
        for group in scope.values():
            if isinstance(group, GroupValue):
                if name in group.scope:
                    raise self._config.error(place, f'"{name}" is already defined, inside of "{group.name}"')
                self._check_not_inside(name, place, group.scope)

    def _weights(
        self, declaration: syntax.WeightDeclaration, names: Names, conditions: frozenset[Fact]
    ) -> Iterator[WeightValue]:
        kind = declaration.kind
        if kind.name not in KINDS:
            hint = did_you_mean(kind.name, KINDS) or f"known: {', '.join(KINDS)}"
            raise self._config.error(kind.place, f'unknown kind of weight "{kind.name}"', hint)
        source = self._config.file.source
        bound = bind_arguments(source, kind.name, KINDS[kind.name], declaration.arguments, kind.place)
        outputs, inputs = self._sides(kind.name, bound, names)
        per = self._config.dimensions(bound["per"], names) if "per" in bound else ()
        for option in ("bias", "eps", "offset"):
            if option in bound:
                self._config.number(bound[option], names, option)
        if declaration.condition is not None:
            self._config.value(declaration.condition, names)
            conditions = conditions | facts_of(declaration.condition, True, self._variables)
        seen: set[str] = set()
        for name in declaration.names:
            self._config.check_new_name(name.name, name.place, names)
            if name.name in seen:
                raise self._config.error(name.place, f'"{name.name}" is already defined')
            seen.add(name.name)
            yield WeightValue(name.name, kind.name, name.place, outputs, inputs, per, conditions)

    def _sides(self, kind: str, bound: Mapping[str, Expression], names: Names) -> tuple[Shape, Shape]:
        """Outputs and inputs."""
        dimensions = self._config.dimensions
        if kind == "linear":
            shape = bound["shape"]
            if not isinstance(shape, syntax.Arrow):
                raise self._config.error(shape.place, "linear needs its input and output: linear(d -> f)")
            return dimensions(shape.outputs, names), dimensions(shape.inputs, names)
        if kind == "embedding":
            return dimensions(bound["rows"], names), dimensions(bound["columns"], names)
        if kind == "causal_conv":
            return dimensions(bound["channels"], names), dimensions(bound["kernel"], names)
        return dimensions(bound["shape"], names), ()

    def _group(self, declaration: syntax.GroupDeclaration, names: Names, conditions: frozenset[Fact]) -> GroupValue:
        name, variable = declaration.name, declaration.variable
        self._config.check_new_name(name.name, name.place, names)
        self._config.check_new_name(variable.name, variable.place, names)
        self._config.dimension(declaration.count, names)
        if len(self._variables) >= MAX_GROUP_DEPTH:
            raise self._config.error(name.place, f"groups nest at most {MAX_GROUP_DEPTH} deep")
        self._variables[variable.name] = group_variable(name.name)
        inner = {**names, variable.name: Scalar(Polynomial.symbol(variable.name))}
        scope = self._scope(declaration.body, inner, conditions)
        del self._variables[variable.name]
        return GroupValue(name.name, name.place, scope)


def group_variable(group: str) -> str:
    """How facts write the index of a group, whatever the file calls it."""
    return f"<index of {group}>"


def all_weights(scope: AbstractScope) -> Iterator[WeightValue]:
    """The weights of a scope and of its groups."""
    for item in scope.values():
        if isinstance(item, WeightValue):
            yield item
        else:
            yield from all_weights(item.scope)
