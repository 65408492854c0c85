"""Errors of the ISA tools: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

SHOWN_CHARACTERS = 80
SOURCE_LINE_CHARACTERS = 160
COMPARED_NAMES = 1000


@dataclass(eq=False)
class SlxError(Exception):
    """A mistake in an input. `line` and `column` count from 1; None means that the whole file is meant."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None
    source_line: str | None = None

    def __str__(self) -> str:
        return self.render()

    def headline(self) -> str:
        """One line: `file:line:column: error: message`."""
        place = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        return ": ".join([*([":".join(place)] if place else []), "error", self.message])

    def render(self) -> str:
        """The headline, the source line with a caret, and the hint."""
        lines = [self.headline()]
        if self.source_line is not None and self.column is not None:
            start = max(0, self.column - 1 - SOURCE_LINE_CHARACTERS // 2)
            lines.append("    " + printable(self.source_line[start : start + SOURCE_LINE_CHARACTERS]))
            lines.append("    " + " " * (self.column - 1 - start) + "^")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class EncodingError(SlxError):
    """An instruction that cannot be encoded: unknown name, missing field, value out of range."""


class ContainerError(SlxError):
    """An executable that cannot be read or written."""


class AssemblyError(SlxError):
    """A mistake in assembly text."""


def printable(text: str) -> str:
    """The text with control characters replaced, so that a hostile file cannot drive the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def show(text: str) -> str:
    """A piece of foreign text for a message: quoted, printable, cut to a bounded length."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
    return f"'{printable(cut)}'"


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """A hint naming the nearest known name, if one is near."""
    if len(name) > SHOWN_CHARACTERS:
        return None
    matches = difflib.get_close_matches(name, list(islice(known, COMPARED_NAMES)), 1)
    return f"did you mean '{matches[0]}'?" if matches else None
