"""The dialect tables of common.slm: other writers' config fields get their hub names.

A row sets its field only if that is missing. A field of the document then counts as read if a row brought it under a
name that the architecture reads. Rows for the record `unusual` set nothing: they give a value when a field says something
out of the ordinary, and if one does not, the fields it names count as read too.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from frontends.configuration.evaluator import Environment, Evaluator
from frontends.configuration.resolve import Document
from frontends.configuration.values import Missing
from frontends.errors import FrontendError, show
from frontends.language import syntax
from frontends.language.catalogue import DIALECT_FUNCTIONS, bind_arguments
from frontends.language.source import SourceText
from frontends.language.syntax import ArchitectureFile, Field
from frontends.weights.checkpoint import TensorSource

MAX_VALUES = 1 << 16
"""Of a tensor whose numbers become config values."""

UNUSUAL = "unusual"
FieldPath = tuple[str, ...]


@dataclass(frozen=True)
class Translation:
    """A row that was evaluated: its field, whether it gave a value, and the fields it names."""

    target: FieldPath
    gives: bool
    sources: frozenset[FieldPath]


def apply_dialects(
    shared: ArchitectureFile, document: Document, checkpoint_format: str, tensors: Callable[[], TensorSource] | None
) -> tuple[Document, list[Translation]]:
    """The document with hub field names, through the tables `any` and that of the format."""
    values = copy.deepcopy(document.values)
    evaluator = DialectEvaluator(shared.source, Document(values, document.name), tensors)
    rows: list[Translation] = []
    for dialect in ("any", checkpoint_format):
        for line in shared.dialects.get(dialect, ()):
            if not isinstance(evaluator.field(line.target), Missing):
                continue
            value = evaluator.evaluate(line.value, {})
            gives = value is not None and not isinstance(value, Missing)
            sources = frozenset(node.path for node, _ in syntax.walk(line.value) if isinstance(node, Field))
            rows.append(Translation(line.target.path, gives, sources))
            if gives and line.target.path[0] != UNUSUAL:
                _set_field(values, line.target, copy.deepcopy(value), document.name)
    return Document(values, document.name), rows


def read_fields(rows: Iterable[Translation], mentioned: set[FieldPath]) -> set[FieldPath]:
    """The fields that rows read for config sections that mention `mentioned`."""
    read: set[FieldPath] = set()
    for row in rows:
        is_usual = row.target[0] == UNUSUAL and not row.gives
        if is_usual or (row.gives and row.target in mentioned):
            read |= row.sources
    return read


def without_unread(document: Document, rows: Iterable[Translation], mentioned: set[FieldPath]) -> Document:
    """The document without the fields that rows set and nothing reads."""
    unread = {row.target[0] for row in rows if row.gives and row.target not in mentioned}
    return Document({key: value for key, value in document.values.items() if key not in unread}, document.name)


class DialectEvaluator(Evaluator):
    """Rows may also look into the checkpoint: is there a tensor, its rows, its numbers."""

    def __init__(self, source: SourceText, document: Document, tensors: Callable[[], TensorSource] | None):
        super().__init__(source, document.values, document.name)
        self._tensors = tensors

    def call(self, expression: syntax.Call, environment: Environment) -> Any:
        function = expression.function
        kind = function.name if isinstance(function, syntax.Name) else ""
        if kind not in DIALECT_FUNCTIONS:
            return super().call(expression, environment)
        signature = DIALECT_FUNCTIONS[kind]
        argument = bind_arguments(self.source, kind, signature, expression.arguments, expression.place)["name"]
        if not isinstance(argument, syntax.Text):
            raise self.error(argument.place, f"{kind} takes the name of a tensor, a string")
        tensors, name = self._tensors() if self._tensors else None, argument.value
        found = tensors is not None and name in tensors
        if kind == "has_tensor":
            return found
        if tensors is None or not found:
            return Missing(name)
        return tensors.tensor_shape(name)[0] if kind == "rows" else self._numbers(tensors, name)

    def _numbers(self, tensors: TensorSource, name: str) -> list[float]:
        shape = tensors.tensor_shape(name)
        if len(shape) != 1 or shape[0] > MAX_VALUES or tensors.tensor_type(name) not in tensors.weight_types:
            message = f"tensor {show(name)} must be a list of at most {MAX_VALUES} numbers"
            raise FrontendError(f"{message}, found {tensors.tensor_type(name)} {list(shape)}", tensors.name)
        return cast(list[float], tensors.load_tensor(name).tolist())


def _set_field(values: dict[str, Any], field: Field, value: Any, file: str) -> None:
    record = values
    for key in field.path[:-1]:
        inner = record.setdefault(key, {})
        if not isinstance(inner, dict):
            raise FrontendError(f"the field {field.text} is inside {key}, which is not a record", file)
        record = cast(dict[str, Any], inner)
    record[field.path[-1]] = value
