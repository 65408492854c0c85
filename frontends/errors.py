"""The one error type of the frontends: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass

SHOWN_CHARACTERS = 80
"""Longest piece of foreign text (a config value, a tensor name) that a message repeats."""
SOURCE_LINE_CHARACTERS = 160


@dataclass(eq=False)
class FrontendError(Exception):
    """A mistake in an input file. `line` and `column` count from 1; 0 means that the whole file is meant.

    `file` is the name as the user gave it, `source_line` the text of the line if the file has lines.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    hint: str | None = None
    source_line: str | None = None

    def __str__(self) -> str:
        return self.render()

    def headline(self) -> str:
        """One line: `file:line:column: error: message`."""
        return printable(f"{self._place}error: {self.message}")

    def remark(self) -> str:
        """The same of what is let pass: `file:line:column: message`."""
        return printable(f"{self._place}{self.message}")

    @property
    def _place(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: " if place else ""

    def render(self) -> str:
        """The headline, the source line with a caret, and the hint."""
        lines = [self.headline()]
        if self.line and self.source_line is not None:
            lines += _caret_lines(self.source_line, self.column)
        if self.hint:
            lines.append(printable(f"  hint: {self.hint}"))
        return "\n".join(lines)


def _caret_lines(source_line: str, column: int) -> list[str]:
    """The source line and a caret below `column`; a long line is cut so that the caret stays visible."""
    start = max(0, column - 1 - SOURCE_LINE_CHARACTERS // 2)
    piece = printable(source_line[start : start + SOURCE_LINE_CHARACTERS])
    return [f"    {piece}", "    " + " " * (column - 1 - start) + "^"]


def printable(text: str) -> str:
    """The text with control characters replaced, so that a hostile file cannot drive the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def show(value: object) -> str:
    """A foreign value as a short JSON-like text for a message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    text = printable(text)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def shape_text(shape: Iterable[object]) -> str:
    """`[24, 72]`."""
    return "[" + ", ".join(str(dimension) for dimension in shape) + "]"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint naming the nearest known name, if one is near."""
    if len(name) > SHOWN_CHARACTERS:
        return None
    matches = difflib.get_close_matches(name, list(known), 1)
    return f'did you mean "{matches[0]}"?' if matches else None


def plural(count: int, noun: str) -> str:
    """`1 value`, `2 values`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
