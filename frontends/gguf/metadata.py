"""GGUF metadata -> the config document that the `dialect gguf` table of common.slm reads, and single values of it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from frontends.configuration.evaluator import MAX_LIST_LENGTH
from frontends.configuration.resolve import Document
from frontends.configuration.values import is_integer
from frontends.errors import FrontendError, show
from frontends.gguf.header import GgufHeader
from frontends.gguf.reader import Strings, Value, shortest

ARCHITECTURE_KEY = "general.architecture"
DESCRIPTIVE = ("general", "tokenizer", "quantize", "split", "imatrix")
"""First parts of keys that say nothing about the computation; what matters of `general` is checked with the header."""


def config_document(header: GgufHeader) -> Document:
    """`llama.attention.head_count` becomes `.attention.head_count`; keys of unknown kinds keep all their parts.

    Descriptive keys are left out, except `.general.architecture`. Raises FrontendError.
    """
    name = str(header.path)
    architecture = header.metadata.get(ARCHITECTURE_KEY)
    if not isinstance(architecture, str) or not architecture:
        raise FrontendError(f"{ARCHITECTURE_KEY} must name the architecture, found {show(architecture)}", name)
    values: dict[str, Any] = {"general": {"architecture": architecture}}
    for key, value in header.metadata.items():
        own = key.removeprefix(architecture + ".")
        if own != key or key.partition(".")[0] not in DESCRIPTIVE:
            _set(values, own.split("."), _plain(key, value, name), name)
    return Document(values, name)


def _set(values: dict[str, Any], path: list[str], value: object, file: str) -> None:
    record = values
    for part in path[:-1]:
        inner = record.setdefault(part, {})
        if not isinstance(inner, dict):
            raise FrontendError(f"metadata {show('.'.join(path))} is inside of {show(part)}, which is a value", file)
        record = cast(dict[str, Any], inner)
    if path[-1] in record:
        raise FrontendError(f"metadata {show('.'.join(path))} appears twice, as a value and otherwise", file)
    record[path[-1]] = value


def _plain(key: str, value: Value, file: str) -> object:
    """Lists for arrays, as a config.json would have."""
    if not isinstance(value, Strings | np.ndarray):
        return value
    items = value.items if isinstance(value, Strings) else value
    if len(items) > MAX_LIST_LENGTH:
        raise FrontendError(f"metadata {show(key)} has {len(items)} items, at most {MAX_LIST_LENGTH}", file)
    if isinstance(value, Strings):
        return [item.decode("utf-8", errors="replace") for item in value.items]
    return [shortest(item) for item in value] if value.dtype == np.float32 else value.tolist()


def text_at(header: GgufHeader, key: str) -> str | None:
    """A string, or None if the key is absent. Raises FrontendError for a value of another kind."""
    value = header.metadata.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(header, key, "a string", value)
    return value


def flag_at(header: GgufHeader, key: str, default: bool) -> bool:
    """A bool."""
    value = header.metadata.get(key, default)
    if not isinstance(value, bool):
        raise _wrong(header, key, "true or false", value)
    return value


def token_at(header: GgufHeader, key: str, vocabulary: int) -> int | None:
    """A token id below `vocabulary`, or None if the key is absent."""
    value = header.metadata.get(key)
    if value is None:
        return None
    if not is_integer(value) or not 0 <= value < vocabulary:
        raise _wrong(header, key, f"a token from 0 to {vocabulary - 1}", value)
    return value


def strings_at(header: GgufHeader, key: str) -> list[str]:
    """An array of UTF-8 strings."""
    value = header.metadata.get(key)
    if not isinstance(value, Strings):
        raise _wrong(header, key, "an array of strings", value)
    try:
        return [item.decode("utf-8") for item in value.items]
    except UnicodeDecodeError:
        raise _wrong(header, key, "an array of UTF-8 strings", None) from None


def numbers_at(header: GgufHeader, key: str, count: int) -> list[float] | None:
    """An array of `count` finite numbers, or None if the key is absent."""
    value = header.metadata.get(key)
    if value is None:
        return None
    if not isinstance(value, np.ndarray) or len(value) != count or not np.isfinite(value).all():
        raise _wrong(header, key, f"an array of {count} numbers", value)
    return cast(list[float], value.tolist())


def _wrong(header: GgufHeader, key: str, expected: str, value: object) -> FrontendError:
    found = f"{len(value)} items" if isinstance(value, np.ndarray) else show(value)
    return FrontendError(f"metadata {show(key)} must be {expected}, found {found}", str(header.path))
