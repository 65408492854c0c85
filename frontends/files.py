"""Bounded reading of input files; every failure is a FrontendError that names the file."""

from __future__ import annotations

import json
import math
import mmap
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from frontends.errors import FrontendError, show

MIB = 1024 * 1024
MAX_JSON_BYTES = 4 * MIB
MAX_INDEX_BYTES = 16 * MIB
MAX_DEPTH = 64


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`."""
    try:
        if not path.is_file():
            raise FrontendError("there is no such file" if not path.exists() else "this is not a file", str(path))
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise FrontendError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from error
    if len(content) > max_bytes:
        raise FrontendError(f"is larger than {max_bytes} bytes, the largest accepted here", str(path))
    return content


def map_file(path: Path) -> NDArray[np.uint8]:
    """The bytes of a regular file as a read-only mapping."""
    try:
        if not path.is_file():
            raise FrontendError("there is no such file" if not path.exists() else "this is not a file", str(path))
        with path.open("rb") as file:
            if file.seek(0, 2) == 0:
                return np.zeros(0, np.uint8)
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
    except (OSError, ValueError) as error:
        raise FrontendError(f"cannot be read: {getattr(error, 'strerror', None) or error}", str(path)) from error


def read_text(path: Path, max_bytes: int) -> str:
    """A UTF-8 text file of at most `max_bytes`."""
    try:
        return read_bytes(path, max_bytes).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FrontendError(f"is not UTF-8 text: byte {error.start} cannot be decoded", str(path)) from error


def read_json_object(path: Path, max_bytes: int = MAX_JSON_BYTES, *, large_integers: bool = False) -> dict[str, Any]:
    """A JSON file that holds one object."""
    return parse_json_object(read_bytes(path, max_bytes), str(path), large_integers=large_integers)


def parse_json_object(content: bytes, file: str, *, large_integers: bool = False) -> dict[str, Any]:
    """Strict JSON: UTF-8, one object at the top, no duplicate names, 64-bit integers, finite numbers.

    `large_integers`: larger ones become floats; tokenizer configs have 10^30 for "no limit".
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique_names,
            parse_constant=_no_constant,
            parse_int=_large_integer if large_integers else _bounded_integer,
            parse_float=_finite_number,
        )
    except RecursionError as error:
        raise FrontendError("is nested too deeply", file) from error
    except json.JSONDecodeError as error:
        raise FrontendError(f"is not valid JSON: {error.msg}", file, error.lineno, error.colno) from error
    except ValueError as error:
        raise FrontendError(f"is not valid JSON: {error}", file) from error
    if not isinstance(value, dict):
        raise FrontendError(f"must hold a JSON object, found {show(value)}", file)
    if _is_deep(value):
        raise FrontendError("is nested too deeply", file)
    return value


def _is_deep(value: object) -> bool:
    """Whether there are more than MAX_DEPTH levels, too many for what copies and writes the value later."""
    level = [value]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += cast(dict[str, object], item).values()
            elif isinstance(item, list):
                inner += cast(list[object], item)
        level = inner
    return bool(level)


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"the name {show(name)} appears twice")
        seen.add(name)
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _bounded_integer(text: str) -> int:
    if len(text) > 20 or abs(int(text)) >= 2**63:
        raise ValueError(f"the number {show(text)} does not fit 64 bits")
    return int(text)


def _large_integer(text: str) -> int | float:
    return int(text) if len(text) < 19 else float(text)


def _finite_number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {show(text)} is too large")
    return value
