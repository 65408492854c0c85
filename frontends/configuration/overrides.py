"""`--set name=value`: config values given on the command line."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

from frontends.configuration.resolve import Document, mentioned_fields
from frontends.errors import FrontendError, did_you_mean, show
from frontends.files import parse_json_object
from frontends.language import syntax
from frontends.language.syntax import ArchitectureFile


def apply_overrides(
    file: ArchitectureFile, document: Document, overrides: Mapping[str, str]
) -> tuple[Document, dict[str, Any]]:
    """The document with the overridden fields, and the overridden names of the config section.

    `hidden_size=64` or `.hidden_size=64` sets a field that the file reads, `d=64` a name of its config section.
    """
    values = copy.deepcopy(document.values)
    fixed: dict[str, Any] = {}
    fields = {".".join(path): path for path in mentioned_fields((file,))}
    names = {line.name for line in file.config if isinstance(line, syntax.Let)}
    for name, text in overrides.items():
        if name in names:
            fixed[name] = parse_override(text)
        elif name.removeprefix(".") in fields:
            _set(values, fields[name.removeprefix(".")], parse_override(text))
        else:
            hint = did_you_mean(name, [*names, *fields])
            raise FrontendError(f"{show(name)} is not a config value of this architecture", file.source.name, hint=hint)
    return Document(values, document.name), fixed


def _set(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    record = values
    for key in path[:-1]:
        inner = record.get(key)
        record[key] = inner if isinstance(inner, dict) else {}
        record = cast(dict[str, Any], record[key])
    record[path[-1]] = value


def parse_override(text: str) -> Any:
    """JSON if it is JSON, else the text itself."""
    try:
        return parse_json_object(b'{"value":' + text.encode() + b"}", "--set")["value"]
    except FrontendError:
        return text
