"""The `weights` section with the config known: which weights exist, with which shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

from frontends.configuration.evaluator import Evaluator
from frontends.configuration.values import MAX_DIMENSION, boolean, number, positive_number
from frontends.errors import shape_text
from frontends.language import syntax
from frontends.language.catalogue import KINDS, bind_arguments
from frontends.language.formatting import declaration_text
from frontends.language.source import Place
from frontends.language.syntax import ArchitectureFile, Expression

MAX_GROUP_MEMBERS = 4096
MAX_WEIGHTS = 1 << 20
MAX_ELEMENTS = 2**32
"""Of one weight: 16 GiB as float32, eight times the largest embedding known."""


@dataclass(frozen=True)
class Weight:
    """One declared weight. `path` is its name in the WeightStore without the part, `layers.3.q`.

    `inputs` and `outputs` are the declared dimensions: a linear's two sides, an embedding's columns and rows, a
    convolution's kernel and channels; a norm and a tensor have outputs only.
    """

    name: str
    path: str
    kind: str
    place: Place
    declaration: str
    outputs: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    per: tuple[int, ...] = ()
    bias: bool = False
    eps: float = 0.0
    offset: float = 0.0
    present: bool = True

    def parts(self) -> dict[str, tuple[int, ...]]:
        """Stored part -> its shape in the WeightStore: matrices are [out, in], norms and biases flat."""
        if not self.present:
            return {}
        if self.kind == "tensor":
            return {"": self.outputs}
        rows = prod(self.outputs)
        weight = (*self.per, rows) if self.kind in ("rms_norm", "layer_norm") else (rows, prod(self.inputs))
        parts = {"weight": weight}
        if self.bias:
            parts["bias"] = weight if self.kind == "layer_norm" else (rows,)
        return parts

    def stored_name(self, part: str) -> str:
        return f"{self.path}.{part}" if part else self.path


@dataclass(frozen=True)
class Group:
    """An array of sets of weights; `path` begins the names of its weights, `layers.3.experts`."""

    name: str
    variable: str
    members: tuple[Scope, ...]
    path: str


Scope = dict[str, "Weight | Group"]


@dataclass
class _Declarer:
    evaluator: Evaluator
    count: int = field(default=0)

    def scope(self, body: tuple[syntax.Declaration, ...], environment: dict[str, Any], path: str, on: bool) -> Scope:
        scope: Scope = {}
        for declaration in body:
            match declaration:
                case syntax.WeightDeclaration():
                    for weight in self._weights(declaration, environment, path, on):
                        scope[weight.name] = weight
                case syntax.GroupDeclaration():
                    scope[declaration.name.name] = self._group(declaration, environment, path, on)
                case syntax.ConditionalDeclaration():
                    then = on and self.evaluator.condition(declaration.condition, environment)
                    scope.update(self.scope(declaration.then, environment, path, then))
                    scope.update(self.scope(declaration.otherwise, environment, path, on and not then))
        return scope

    def _group(self, declaration: syntax.GroupDeclaration, environment: dict[str, Any], path: str, on: bool) -> Group:
        name, variable = declaration.name.name, declaration.variable.name
        if not on:
            return Group(name, variable, (), path + name)
        count = self.evaluator.dimension(declaration.count, environment)
        if count > MAX_GROUP_MEMBERS:
            hint = self.evaluator.origin_hint(declaration.count)
            message = f'group "{name}" has {count} members, the largest accepted is {MAX_GROUP_MEMBERS}'
            raise self.evaluator.error(declaration.count.place, message, hint)
        members = tuple(
            self.scope(declaration.body, {**environment, variable: index}, f"{path}{name}.{index}.", on)
            for index in range(count)
        )
        return Group(name, variable, members, path + name)

    def _weights(
        self, declaration: syntax.WeightDeclaration, environment: dict[str, Any], path: str, on: bool
    ) -> Iterator[Weight]:
        condition = declaration.condition
        present = on and (condition is None or self.evaluator.condition(condition, environment))
        kind, text = declaration.kind.name, declaration_text(declaration)
        fields = self._fields(declaration, environment) if present else {}
        for identifier in declaration.names:
            self.count += 1
            if self.count > MAX_WEIGHTS:
                raise self.evaluator.error(declaration.place, f"the model has more than {MAX_WEIGHTS} weights")
            name = identifier.name
            yield Weight(name, path + name, kind, identifier.place, text, present=present, **fields)

    def _fields(self, declaration: syntax.WeightDeclaration, environment: dict[str, Any]) -> dict[str, Any]:
        evaluator, kind = self.evaluator, declaration.kind.name
        bound = bind_arguments(evaluator.source, kind, KINDS[kind], declaration.arguments, declaration.kind.place)
        fields: dict[str, Any] = {
            key: self._option(key, bound[key], environment) for key in ("bias", "eps", "offset") if key in bound
        }
        if kind == "layer_norm":
            fields.setdefault("bias", True)
        if "per" in bound:
            fields["per"] = evaluator.dimensions(bound["per"], environment)
        fields["outputs"], fields["inputs"] = self._sides(kind, bound, environment)
        elements = prod(fields["outputs"]) * prod(fields["inputs"]) * prod(fields.get("per", ()))
        if elements > MAX_ELEMENTS or prod(fields["outputs"]) > MAX_DIMENSION or prod(fields["inputs"]) > MAX_DIMENSION:
            shape = shape_text([*fields["outputs"], *fields["inputs"]])
            raise evaluator.error(declaration.place, f"{kind} of {shape} is larger than this compiler accepts")
        return fields

    def _sides(
        self, kind: str, bound: dict[str, Expression], environment: dict[str, Any]
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Outputs and inputs."""
        dimensions = self.evaluator.dimensions
        if kind == "linear":
            shape = bound["shape"]
            if not isinstance(shape, syntax.Arrow):
                raise self.evaluator.error(shape.place, "linear needs its input and output: linear(d -> f)")
            return dimensions(shape.outputs, environment), dimensions(shape.inputs, environment)
        if kind == "embedding":
            return dimensions(bound["rows"], environment), dimensions(bound["columns"], environment)
        if kind == "causal_conv":
            return dimensions(bound["channels"], environment), dimensions(bound["kernel"], environment)
        return dimensions(bound["shape"], environment), ()

    def _option(self, key: str, expression: Expression, environment: dict[str, Any]) -> bool | float:
        value = self.evaluator.known(expression, environment)
        checks = {"bias": boolean, "eps": positive_number, "offset": number}
        try:
            return checks[key](value, key)
        except ValueError as error:
            hint = self.evaluator.origin_hint(expression)
            raise self.evaluator.error(expression.place, str(error), hint) from error


def declare(file: ArchitectureFile, evaluator: Evaluator, config: dict[str, Any]) -> Scope:
    """All weights of the model. Raises FrontendError for wrong dimensions and options."""
    return _Declarer(evaluator).scope(file.weights, dict(config), "", True)


def all_weights(scope: Scope) -> Iterator[Weight]:
    """The weights of a scope and of its groups that exist with this config, in order of declaration."""
    for item in scope.values():
        if isinstance(item, Weight):
            if item.present:
                yield item
        else:
            for member in item.members:
                yield from all_weights(member)
