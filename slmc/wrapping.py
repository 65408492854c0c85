"""Text that arrives in pieces, broken into lines at word borders."""

from __future__ import annotations

import re

_PARTS = re.compile(r"\n| +|[^ \n]+")


class WordWrapper:
    """Gives what can be printed of each piece; a word at the end waits until it is known whether it fits the line."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._column = 0
        self._spaces = ""
        self._word = ""

    def push(self, text: str) -> str:
        """The printable text after a piece. Spaces at a break are dropped, line breaks kept."""
        out = ""
        for part in _PARTS.findall(text):
            if part == "\n":
                out += self._flush() + "\n"
                self._column, self._spaces = 0, ""
            elif part[0] == " ":
                out += self._flush()
                self._spaces += part
            else:
                self._word += part
        return out

    def whole(self, text: str) -> str:
        """The text at once, up to its last word: what follows it is a new word or goes on with it unbroken."""
        return self.push(text) + self._flush()

    def finish(self) -> str:
        """The last word."""
        return self._flush()

    def _flush(self) -> str:
        if not self._word:
            return ""
        word, self._word = self._word, ""
        lead, self._spaces = self._spaces, ""
        if self._column and self._column + len(lead) + len(word) > self.width:
            lead, self._column = "\n", 0
        self._column += len(lead.lstrip("\n")) + len(word)
        return lead + word
