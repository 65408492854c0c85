"""Source text and places in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from frontends.errors import FrontendError


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, both from 1."""

    line: int
    column: int


START = Place(1, 1)


@dataclass(frozen=True)
class SourceText:
    """A `.slm` file: its short name (used in messages and IR locations) and its text."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    def error(self, place: Place, message: str, hint: str | None = None) -> FrontendError:
        """An error at a place of this file, with the source line."""
        line = self.lines[place.line - 1] if 0 < place.line <= len(self.lines) else None
        return FrontendError(message, self.name, place.line, place.column, hint, line)
