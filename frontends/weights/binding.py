"""Declared weights + a checkpoint table + a checkpoint -> one lazy recipe for each stored part, everything checked."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

from frontends.configuration.declared import Scope, Weight, all_weights
from frontends.configuration.evaluator import Environment, Evaluator
from frontends.configuration.values import Missing, is_integer, is_number, positive_integer
from frontends.errors import FrontendError, did_you_mean, shape_text, show
from frontends.language import syntax
from frontends.language.catalogue import SOURCE_FUNCTIONS, bind_arguments
from frontends.language.source import Place
from frontends.language.syntax import ArchitectureFile
from frontends.weights.checkpoint import TensorSource
from frontends.weights.recipes import (
    Affine,
    Exponential,
    PairsToHalves,
    Recipe,
    Reshape,
    SameAs,
    Slice,
    SplitRows,
    Stack,
    Stored,
    Transpose,
    fits,
)
from frontends.weights.rows import WeightRow, collect_rows, fill_name

RECIPES = (Stored, SameAs, Transpose, SplitRows, PairsToHalves, Slice, Stack, Affine, Exponential, Reshape)
MAX_REPORTED = 5


class Binder(Evaluator):
    """Evaluates the sources of table rows to recipes."""

    def __init__(
        self,
        file: ArchitectureFile,
        document: Mapping[str, Any],
        document_name: str,
        source: TensorSource,
        rows: Mapping[str, WeightRow],
    ):
        super().__init__(file.source, document, document_name)
        self._source = source
        self._rows = rows
        self._bound: dict[str, Recipe] = {}
        self._active: dict[str, None] = {}
        self._row: WeightRow | None = None
        self._part = ""

    def bind(self, weight: Weight, part: str) -> Recipe:
        """The recipe of one part in its declared shape."""
        name = weight.stored_name(part)
        if name in self._bound:
            return self._bound[name]
        row = self._rows[weight.path]
        if name in self._active:
            raise self.error(row.row.place, f'"{weight.name}" is stored as itself')
        self._active[name] = None
        outer = self._row, self._part
        self._row, self._part = row, part
        recipe = self.evaluate(row.row.source, row.environment)
        self._row, self._part = outer
        del self._active[name]
        if isinstance(recipe, Missing):
            raise missing_tensor(self, row.row.place, recipe.path, weight, self._source)
        if not isinstance(recipe, RECIPES):
            raise self.error(row.row.source.place, "a row needs a tensor")
        self._bound[name] = checked_recipe(self, recipe, weight, part, self._source)
        return self._bound[name]

    def _context(self) -> WeightRow:
        assert self._row is not None
        return self._row

    def _evaluate(self, expression: syntax.Expression, environment: Environment) -> Any:
        if not isinstance(expression, syntax.Text):
            return super()._evaluate(expression, environment)
        row = self._context()
        name = fill_name(self, expression, dict(environment), row.weight.name)
        full = [prefix + name + (f".{self._part}" if self._part else "") for prefix in row.prefixes]
        found = next((candidate for candidate in full if candidate in self._source), None)
        return Missing(full[-1]) if found is None else Stored(self._source, found)

    def name(self, expression: syntax.Name, environment: Environment) -> Any:
        value = super().name(expression, environment)
        if not isinstance(value, Weight):
            return value
        if self._part not in value.parts():
            raise self.error(expression.place, f'"{value.name}" has no {self._part or "value"} to share')
        return SameAs(value.stored_name(self._part), self.bind(value, self._part))

    def negate(self, expression: syntax.Unary, value: Any) -> Any:
        return Affine(value, -1.0, 0.0) if isinstance(value, RECIPES) else super().negate(expression, value)

    def binary(self, expression: syntax.Binary, left: Any, right: Any) -> Any:
        if not isinstance(left, RECIPES) and not isinstance(right, RECIPES):
            return super().binary(expression, left, right)
        affine = _affine(expression.operator, left, right)
        if affine is None:
            raise self.error(expression.place, f'"{expression.operator}" is not possible on a stored tensor here')
        return affine

    def index(self, expression: syntax.Index, environment: Environment) -> Any:
        value = self.evaluate(expression.value, environment)
        if isinstance(value, Missing):
            return value
        if not isinstance(value, RECIPES):
            return super().index(expression, environment)
        position = self.known(expression.index, environment)
        if not value.shape or not is_integer(position) or not 0 <= position < value.shape[0]:
            raise self.error(expression.place, f"index {show(position)} of a tensor of shape {shape_text(value.shape)}")
        return Slice(value, position)

    def _comprehension(self, expression: syntax.Comprehension, environment: Environment) -> Any:
        items = super()._comprehension(expression, environment)
        if not isinstance(items, list) or not items or not isinstance(items[0], RECIPES):
            return items
        recipes = tuple(item for item in items if isinstance(item, RECIPES))
        if any(recipe.shape != recipes[0].shape for recipe in recipes):
            raise self.error(expression.place, "stacked tensors have different shapes")
        return Stack(recipes)

    def call(self, expression: syntax.Call, environment: Environment) -> Any:
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else ""
        if name not in SOURCE_FUNCTIONS:
            return super().call(expression, environment)
        signature = SOURCE_FUNCTIONS[name]
        arguments = bind_arguments(self.source, name, signature, expression.arguments, expression.place)
        source = self.evaluate(arguments["source"], environment)
        if isinstance(source, Missing):
            return source
        if not isinstance(source, RECIPES):
            raise self.error(arguments["source"].place, f"{name} takes a stored tensor")
        options = {key: self.known(value, environment) for key, value in arguments.items() if key != "source"}
        with self.located(expression.place):
            if name == "transpose":
                return Transpose(source)
            if name == "exp":
                return Exponential(source)
            return self._split(source, options) if name == "split" else _pairs_to_halves(source, options)

    def _split(self, source: Recipe, options: dict[str, Any]) -> Recipe:
        row = self._context()
        blocks = positive_integer(options.get("per", 1), "per")
        rows = [prod(target.outputs) for target in row.targets]
        if not source.shape or sum(rows) != source.shape[0]:
            parts = " + ".join(str(count) for count in rows)
            found = source.shape[0] if source.shape else "no"
            raise ValueError(f'"{source.tensors[-1]}" has {found} rows, its parts need {parts} = {sum(rows)}')
        if any(count % blocks for count in rows):
            raise ValueError(f"split: {rows} rows cannot be divided into {blocks} equal blocks")
        position = row.targets.index(row.weight)
        return SplitRows(source, blocks, sum(rows[:position]) // blocks, rows[position] // blocks)


def _affine(operator: str, left: Any, right: Any) -> Affine | None:
    """A tensor and a number; None for what is not scale * x + offset."""
    if is_number(right):
        match operator:
            case "+" | "-":
                return Affine(left, 1.0, float(right if operator == "+" else -right))
            case "*":
                return Affine(left, float(right), 0.0)
            case "/" if right:
                return Affine(left, 1.0 / right, 0.0)
            case _:
                return None
    if not is_number(left) or operator not in ("+", "-", "*"):
        return None
    if operator == "*":
        return Affine(right, float(left), 0.0)
    return Affine(right, 1.0 if operator == "+" else -1.0, float(left))


def _pairs_to_halves(source: Recipe, options: dict[str, Any]) -> Recipe:
    heads = positive_integer(options["heads"], "the number of heads")
    if not source.shape or source.shape[0] % heads:
        raise ValueError(f"a tensor of shape {shape_text(source.shape)} does not have {heads} heads")
    rows = source.shape[0] // heads
    dim = positive_integer(options.get("dim", rows), "dim")
    if dim % 2 or dim > rows:
        raise ValueError(f"dim must be even and at most {rows}, found {dim}")
    return PairsToHalves(source, heads, dim)


def missing_tensor(
    evaluator: Evaluator, place: Place, tensor: str, weight: Weight, source: TensorSource
) -> FrontendError:
    hint = did_you_mean(tensor, source.tensor_names())
    return evaluator.error(place, f'tensor "{tensor}" (for "{weight.name}") is not in the checkpoint', hint)


def checked_recipe(evaluator: Evaluator, recipe: Recipe, weight: Weight, part: str, source: TensorSource) -> Recipe:
    """The recipe in the declared shape. Raises FrontendError if shape or type do not fit."""
    declared = weight.parts()[part]
    tensor = recipe.tensors[-1]
    if not fits(recipe.shape, declared):
        what = weight.declaration if part != "bias" else f"the bias of {weight.declaration}"
        found = f'but tensor "{tensor}" is {shape_text(recipe.shape)}'
        raise evaluator.error(weight.place, f'"{weight.name}" is {what}: {shape_text(declared)}, {found}')
    for name in recipe.tensors:
        if source.tensor_type(name) not in source.weight_types:
            known = ", ".join(source.weight_types)
            message = f'tensor "{name}" (for "{weight.name}") has the type {source.tensor_type(name)}'
            raise evaluator.error(weight.place, f"{message}, weights have {known}")
    return recipe if recipe.shape == declared else Reshape(recipe, declared)


def bind_table(
    file: ArchitectureFile,
    table: syntax.Table,
    scope: Scope,
    config: dict[str, Any],
    evaluator: Evaluator,
    source: TensorSource,
) -> dict[str, Recipe]:
    """Stored name -> recipe, through a `checkpoint` table."""
    rows = collect_rows(file, table, scope, config, evaluator)
    binder = Binder(file, evaluator.document, evaluator.document_name, source, rows)
    return {
        weight.stored_name(part): binder.bind(weight, part) for weight in all_weights(scope) for part in weight.parts()
    }


def bind_own_names(scope: Scope, evaluator: Evaluator, source: TensorSource) -> dict[str, Recipe]:
    """Stored name -> recipe for a model without a table: weights are stored under their own names."""
    recipes: dict[str, Recipe] = {}
    for weight in all_weights(scope):
        for part in weight.parts():
            name = weight.stored_name(part)
            if name not in source:
                raise missing_tensor(evaluator, weight.place, name, weight, source)
            recipes[name] = checked_recipe(evaluator, Stored(source, name), weight, part, source)
    return recipes


def ignored_patterns(*files: ArchitectureFile, checkpoint_format: str) -> list[str]:
    """The `ignore` patterns of the tables of a format."""
    tables = (file.tables[checkpoint_format] for file in files if checkpoint_format in file.tables)
    nodes = (node for table in tables for node, _ in syntax.walk(table))
    return [pattern for node in nodes if isinstance(node, syntax.IgnoreTensors) for pattern in node.patterns]


def unused_tensors(source: TensorSource, recipes: Iterable[Recipe], ignored: list[str]) -> list[str]:
    """Tensors that no weight reads and no pattern ignores."""
    used = {name for recipe in recipes for name in recipe.tensors}
    unused = [name for name in source.tensor_names() if name not in used]
    return [name for name in unused if not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored)]


def unused_error(source: TensorSource, unused: list[str], reader: str) -> FrontendError:
    shown = ", ".join(f"{show(name)} {shape_text(source.tensor_shape(name))}" for name in unused[:MAX_REPORTED])
    more = f" and {len(unused) - MAX_REPORTED} more" if len(unused) > MAX_REPORTED else ""
    plural = "tensors" if len(unused) > 1 else "tensor"
    hint = "if they do not change the model, allow unread tensors (--allow-unread)"
    return FrontendError(f"{plural} {shown}{more}: not used by {reader}", source.name, hint=hint)
