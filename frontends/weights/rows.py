"""The rows of a checkpoint table, one for each weight of the model, with the names in scope there."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from frontends.configuration.declared import Group, Scope, Weight
from frontends.configuration.evaluator import Evaluator
from frontends.errors import shape_text, show
from frontends.language import syntax
from frontends.language.syntax import ArchitectureFile, Expression

MAX_PREFIXES = 16


@dataclass(frozen=True)
class WeightRow:
    """Where one weight is stored: the row, the weights it binds together, its scope, and the group's prefixes."""

    weight: Weight
    row: syntax.Row
    targets: tuple[Weight, ...]
    environment: dict[str, Any]
    prefixes: tuple[str, ...]


def collect_rows(
    file: ArchitectureFile, table: syntax.Table, scope: Scope, config: dict[str, Any], evaluator: Evaluator
) -> dict[str, WeightRow]:
    """Weight path -> its row. The table has been checked: every weight has exactly one."""
    rows: dict[str, WeightRow] = {}
    _Collector(evaluator, rows).collect(table.rows, scope, ("",), dict(config))
    return rows


@dataclass
class _Collector:
    evaluator: Evaluator
    rows: dict[str, WeightRow]

    def collect(
        self, rows: tuple[syntax.TableRow, ...], scope: Scope, prefixes: tuple[str, ...], environment: dict[str, Any]
    ) -> None:
        environment = {**environment, **{name: item for name, item in scope.items() if isinstance(item, Weight)}}
        for row in rows:
            if isinstance(row, syntax.Row):
                items = (scope[identifier.name] for identifier in row.names)
                targets = tuple(item for item in items if isinstance(item, Weight) and item.present)
                for weight in targets:
                    self.rows[weight.path] = WeightRow(weight, row, targets, environment, prefixes)
            elif isinstance(row, syntax.GroupRow):
                group = scope[row.name.name]
                assert isinstance(group, Group)
                for index, member in enumerate(group.members):
                    inner = {**environment, row.variable.name: index}
                    self.collect(row.rows, member, self._prefixes(row, prefixes, inner), inner)

    def _prefixes(self, row: syntax.GroupRow, outer: tuple[str, ...], environment: dict[str, Any]) -> tuple[str, ...]:
        if row.prefix is None:
            return outer
        own = self._alternatives(row.prefix, environment)
        joined = tuple(f"{start}{name}." for start in outer for name in own)
        if len(joined) > MAX_PREFIXES:
            raise self.evaluator.error(row.place, f"a group has at most {MAX_PREFIXES} alternative prefixes")
        return joined

    def _alternatives(self, expression: Expression, environment: dict[str, Any]) -> list[str]:
        """The strings of `a ?? b`, chosen by config conditions."""
        match expression:
            case syntax.Text():
                return [fill_name(self.evaluator, expression, environment, None)]
            case syntax.Binary(operator="??"):
                left = self._alternatives(expression.left, environment)
                return left + self._alternatives(expression.right, environment)
            case syntax.Conditional():
                chosen = self.evaluator.condition(expression.condition, environment)
                return self._alternatives(expression.value if chosen else expression.otherwise, environment)
            case _:
                raise self.evaluator.error(expression.place, "a prefix is a string, or several with ??")


def fill_name(evaluator: Evaluator, text: syntax.Text, environment: dict[str, Any], own_name: str | None) -> str:
    """The string with `{}` replaced by the row's own name and `{i}` by the index i."""
    pieces = text.value.split("{")
    result = [pieces[0]]
    for piece in pieces[1:]:
        name, closing, rest = piece.partition("}")
        value = own_name if name == "" else environment.get(name)
        if not closing or not isinstance(value, str | int) or isinstance(value, bool):
            raise evaluator.error(text.place, f"the name {show(text.value)} cannot be filled in")
        result += [str(value), rest]
    return "".join(result)


def alias_targets(rows: dict[str, WeightRow], evaluator: Evaluator) -> dict[str, str]:
    """Weight path -> path of the weight whose storage the table says it shares, without looking at a checkpoint."""
    direct: dict[str, str] = {}
    for path, row in rows.items():
        target = _alias(row.row.source, row.environment, evaluator)
        if target is not None:
            _check_alias(row, target, evaluator)
            direct[path] = target.path
    return {path: _root(path, direct, rows[path], evaluator) for path in direct}


def _check_alias(row: WeightRow, target: Weight, evaluator: Evaluator) -> None:
    parts, shared = row.weight.parts(), target.parts()
    for part, shape in parts.items():
        if part not in shared:
            raise evaluator.error(row.row.place, f'"{target.name}" has no {part or "value"} to share')
        if prod(shape) != prod(shared[part]):
            found = f'but it shares "{target.name}", which is {shape_text(shared[part])}'
            message = f'"{row.weight.name}" is {row.weight.declaration}: {shape_text(shape)}, {found}'
            raise evaluator.error(row.weight.place, message)


def _alias(expression: Expression, environment: dict[str, Any], evaluator: Evaluator) -> Weight | None:
    match expression:
        case syntax.Name():
            value = environment.get(expression.name)
            return value if isinstance(value, Weight) else None
        case syntax.Conditional():
            chosen = evaluator.condition(expression.condition, environment)
            return _alias(expression.value if chosen else expression.otherwise, environment, evaluator)
        case syntax.Binary(operator="??"):
            return _alias(expression.left, environment, evaluator)
        case _:
            return None


def _root(path: str, direct: dict[str, str], row: WeightRow, evaluator: Evaluator) -> str:
    seen = {path}
    while path in direct:
        path = direct[path]
        if path in seen:
            raise evaluator.error(row.row.place, f'"{row.weight.name}" is stored as itself')
        seen.add(path)
    return path
