"""Config document -> the names of the `config` section.

First the dialect tables of common.slm give other writers' fields their hub names, then the lines are evaluated, then
every field that no line mentions is reported.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from frontends.configuration.evaluator import Environment, Evaluator
from frontends.configuration.values import Missing
from frontends.errors import FrontendError, did_you_mean, show
from frontends.language import syntax
from frontends.language.catalogue import DIALECT_FUNCTIONS, bind_arguments
from frontends.language.source import SourceText
from frontends.language.syntax import ArchitectureFile, Expression, Field

MAX_REPORTED = 5


@dataclass(frozen=True)
class Document:
    """A config: its values, and the file name for messages."""

    values: dict[str, Any]
    name: str


class ConfigEvaluator(Evaluator):
    """Names the config fields behind a wrong value."""

    def __init__(self, file: ArchitectureFile, document: Document):
        super().__init__(file.source, document.values, document.name)
        self._lets = {line.name: line.value for line in file.config if isinstance(line, syntax.Let)}

    def origin_hint(self, expression: Expression) -> str | None:
        fields = list(dict.fromkeys(self._fields(expression, set())))
        return f"comes from {', '.join(fields[:MAX_REPORTED])} of {self.document_name}" if fields else None

    def _fields(self, expression: Expression, seen: set[str]) -> Iterable[str]:
        for node, _ in syntax.walk(expression):
            if isinstance(node, Field):
                yield node.text
            elif isinstance(node, syntax.Name) and node.name in self._lets and node.name not in seen:
                seen.add(node.name)
                yield from self._fields(self._lets[node.name], seen)


class DialectEvaluator(Evaluator):
    """Dialect rows may also look into the checkpoint; `tensor` gives a list of numbers, None if there is none."""

    def __init__(self, source: SourceText, document: Document, tensor: Callable[[str], list[float] | None]):
        super().__init__(source, document.values, document.name)
        self._tensor = tensor

    def call(self, expression: syntax.Call, environment: Environment) -> Any:
        function = expression.function
        name = function.name if isinstance(function, syntax.Name) else ""
        if name not in DIALECT_FUNCTIONS:
            return super().call(expression, environment)
        signature = DIALECT_FUNCTIONS[name]
        argument = bind_arguments(self.source, name, signature, expression.arguments, expression.place)["name"]
        if not isinstance(argument, syntax.Text):
            raise self.error(argument.place, f"{name} takes the name of a tensor, a string")
        values = self._tensor(argument.value)
        if name == "has_tensor":
            return values is not None
        return Missing(argument.value) if values is None else values


def no_tensor(_name: str) -> list[float] | None:
    """For configs whose checkpoint the dialect does not look into."""
    return None


def apply_dialects(
    shared: ArchitectureFile, document: Document, checkpoint_format: str, tensor: Callable[[str], list[float] | None]
) -> Document:
    """The document with hub field names: a dialect row sets its field only if that is missing."""
    values = copy.deepcopy(document.values)
    evaluator = DialectEvaluator(shared.source, Document(values, document.name), tensor)
    for dialect in ("any", checkpoint_format):
        for line in shared.dialects.get(dialect, ()):
            if not isinstance(evaluator.field(line.target), Missing):
                continue
            value = evaluator.evaluate(line.value, {})
            if value is not None and not isinstance(value, Missing):
                _set_field(values, line.target, copy.deepcopy(value), document.name)
    return Document(values, document.name)


def _set_field(values: dict[str, Any], field: Field, value: Any, file: str) -> None:
    record = values
    for key in field.path[:-1]:
        inner = record.setdefault(key, {})
        if not isinstance(inner, dict):
            raise FrontendError(f"the field {field.text} is inside {key}, which is not a record", file)
        record = cast(dict[str, Any], inner)
    record[field.path[-1]] = value


def resolve_config(
    file: ArchitectureFile, document: Document, fixed: Mapping[str, Any]
) -> tuple[dict[str, Any], ConfigEvaluator]:
    """The config names with their values; `fixed` names keep the value given there."""
    evaluator = ConfigEvaluator(file, document)
    names: dict[str, Any] = {}
    for line in file.config:
        if isinstance(line, syntax.Let):
            names[line.name] = fixed[line.name] if line.name in fixed else evaluator.known(line.value, names)
        elif isinstance(line, syntax.Require) and not evaluator.condition(line.condition, names):
            raise file.source.error(line.place, f"{document.name} is not supported: {line.what}")
    return names, evaluator


def mentioned_fields(files: Iterable[ArchitectureFile]) -> set[tuple[str, ...]]:
    """Every field that a line of the config sections reads or ignores."""
    nodes = (node for file in files for node, _ in syntax.walk(*file.config))
    return {node.path for node in nodes if isinstance(node, Field)}


def unread_fields(values: Mapping[str, Any], mentioned: set[tuple[str, ...]]) -> list[str]:
    """The fields no line mentions, as `.a.b`. A field is covered by itself or by a part of its path."""
    unread: list[str] = []
    pending: list[tuple[tuple[str, ...], Any]] = [((key,), value) for key, value in reversed(list(values.items()))]
    prefixes = {path[:length] for path in mentioned for length in range(1, len(path))}
    while pending:
        path, value = pending.pop()
        if path in mentioned:
            continue
        if path in prefixes and isinstance(value, dict):
            record = cast(dict[str, Any], value)
            pending += [((*path, key), inner) for key, inner in reversed(list(record.items()))]
        else:
            unread.append("." + ".".join(path))
    return unread


def unread_error(document: Document, unread: list[str], mentioned: set[tuple[str, ...]], reader: str) -> FrontendError:
    """Names the first unread fields, with the nearest known field for the first."""
    shown = ", ".join(show(field)[1:-1] for field in unread[:MAX_REPORTED])
    more = f" and {len(unread) - MAX_REPORTED} more" if len(unread) > MAX_REPORTED else ""
    near = did_you_mean(unread[0], ["." + ".".join(path) for path in mentioned])
    plural = "fields" if len(unread) > 1 else "field"
    hint = (f"{near} " if near else "") + "if it does not change the model, allow unread fields (--allow-unread)"
    return FrontendError(f"config {plural} {shown}{more}: not read by {reader}", document.name, hint=hint)
