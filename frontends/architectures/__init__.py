"""The architecture files that come with the package, found by the config's model_type."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from frontends.errors import FrontendError, did_you_mean, show
from frontends.language.parser import parse
from frontends.language.source import SourceText
from frontends.language.syntax import ArchitectureFile

PACKAGE = "frontends.architectures"
SHARED_FILE = "common.slm"
_ARCHITECTURE_LINE = re.compile(r'^architecture [A-Za-z_0-9]+ for ("[^"\n]*"(?:, *"[^"\n]*")*)', re.MULTILINE)


@cache
def known_architectures() -> dict[str, tuple[str, ...]]:
    """File name -> the model types it describes, in alphabetical order of the files."""
    result: dict[str, tuple[str, ...]] = {}
    for entry in sorted(resources.files(PACKAGE).iterdir(), key=lambda entry: entry.name):
        match = _ARCHITECTURE_LINE.search(entry.read_text(encoding="utf-8")) if entry.name.endswith(".slm") else None
        if match is not None:
            result[entry.name] = tuple(re.findall(r'"([^"]*)"', match[1]))
    return result


def read_architecture(file_name: str) -> ArchitectureFile:
    """One of the package's files, parsed."""
    text = resources.files(PACKAGE).joinpath(file_name).read_text(encoding="utf-8")
    return parse(SourceText(file_name, text))


def find_architecture(model_type: object, document_name: str) -> ArchitectureFile:
    """The file for a config's model_type."""
    if not isinstance(model_type, str):
        message = f"model_type must name the architecture, found {show(model_type)}"
        raise FrontendError(message, document_name, hint=_known_hint())
    for file_name, model_types in known_architectures().items():
        if model_type in model_types:
            return read_architecture(file_name)
    near = did_you_mean(model_type, [name for types in known_architectures().values() for name in types])
    hint = f"{near} {_known_hint()}" if near else _known_hint()
    raise FrontendError(f"unknown model_type {show(model_type)}", document_name, hint=hint)


def _known_hint() -> str:
    known = ", ".join(name for types in known_architectures().values() for name in types)
    return f"known are {known}; for another one, write a .slm file (docs/slm-language.md) and put it beside config.json"
