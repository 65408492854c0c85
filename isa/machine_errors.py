"""One line per mistake in a machine description: file, key, what was expected, what was found."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from isa.errors import SlxError, show

MAX_KEY_CHARACTERS = 120


class MachineError(SlxError):
    """A mistake in a machine description."""


def explain(place: str, error: ValidationError) -> MachineError:
    """The first mistake pydantic found, in our words; further ones are counted."""
    details = error.errors(include_url=False, include_context=True)
    first = details[0]
    key = _dotted(first["loc"])
    kind, found = first["type"], first["input"]
    if kind == "missing":
        text = "missing"
    elif kind == "extra_forbidden":
        text = "unknown key"
    elif kind == "value_error":
        text = "expected " + first["msg"].removeprefix("Value error, ")
    else:
        text = f"expected {_expectation(kind, first)}, found {_described(found)}"
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return MachineError(f"{key}: {text}{more}", place)


def _expectation(kind: str, detail: object) -> str:
    known = {
        "int_type": "an integer",
        "float_type": "a number",
        "string_type": "a text",
        "list_type": "a list of tables",
        "model_type": "a table",
        "model_attributes_type": "a table",
        "dict_type": "a table",
        "finite_number": "a finite number",
    }
    if kind in known:
        return known[kind]
    assert isinstance(detail, dict)
    return str(detail["msg"]).removeprefix("Input should be ").removeprefix("String should ")


def _dotted(location: Sequence[str | int]) -> str:
    """cores[0].mxu.rows"""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    printable = "".join(c if c.isprintable() else " " for c in text.removeprefix("."))
    return printable[:MAX_KEY_CHARACTERS] or "(top level)"


def _described(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return show(value)
    return show(str(value)) if isinstance(value, int | float) else f"a {type(value).__name__}"
