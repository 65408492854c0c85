"""A text as windows of tokens: consecutive, not overlapping, each evaluated alone from position 0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frontends.files import read_text
from frontends.tokenizer import MAX_TEXT_CHARACTERS
from slmc.errors import CommandError
from slmc.texts import Texts

LEAST_WINDOW = 2
"""A token is predicted from at least one other."""


@dataclass(frozen=True)
class Windows:
    """parts: token ids, all of the same length `size`; the first token of each is not predicted."""

    parts: tuple[tuple[int, ...], ...]
    size: int

    @property
    def predicted(self) -> int:
        return len(self.parts) * (self.size - 1)


def read_source(text: str | Path) -> str:
    """The text, of a file if it is a path. Raises FrontendError for a file that is too large or not UTF-8."""
    return text if isinstance(text, str) else read_text(text, MAX_TEXT_CHARACTERS)


def tokens_of(text: str | Path, texts: Texts, most: int | None) -> list[int]:
    """The ids of a text, the first `most` of them. Raises CommandError if they are fewer than two, or without a tokenizer."""
    place = "" if isinstance(text, str) else str(text)
    tokenizer = texts.tokenizer
    if tokenizer is None:
        raise CommandError(
            "the model has no tokenizer, and a text is evaluated token by token",
            "put its tokenizer.json beside the weights",
            texts.place,
        )
    tokens = tokenizer.encode(read_source(text))[:most]
    if len(tokens) < LEAST_WINDOW:
        raise CommandError(f"the text has {len(tokens)} tokens, expected at least {LEAST_WINDOW}", place=place)
    return tokens


def windows_of(tokens: list[int], size: int) -> Windows:
    """Whole windows; what is left over is dropped. A text shorter than one window is a window of its own."""
    size = min(size, len(tokens))
    starts = range(0, len(tokens) - size + 1, size)
    return Windows(tuple(tuple(tokens[start : start + size]) for start in starts), size)


def window_size(wanted: int | None, usual: int, longest: int, what: str) -> int:
    """The size that is asked for, or the usual one; `longest` positions are what `what` has, 0: no limit. Raises CommandError."""
    size = usual if wanted is None else wanted
    if size < LEAST_WINDOW:
        raise CommandError(f"a window of {size} tokens predicts nothing, expected at least {LEAST_WINDOW}")
    if longest and size > longest:
        raise CommandError(f"a window of {size} tokens is longer than the {longest} positions of {what}")
    return size
