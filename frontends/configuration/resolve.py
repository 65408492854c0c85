"""Config document -> the names of the `config` section.

After the dialect tables (dialects.py) the lines are evaluated, and every field that no line mentions is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from frontends.configuration.evaluator import Evaluator
from frontends.errors import FrontendError, did_you_mean, show
from frontends.language import syntax
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
