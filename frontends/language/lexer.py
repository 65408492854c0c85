"""The filter between lexer and parser: which line ends separate statements."""

from __future__ import annotations

from collections.abc import Iterator

from lark import Token
from lark.lark import PostLex

LINE_END = "_NL"
OPENING = ("LPAR", "LSQB")
CLOSING = ("RPAR", "RSQB")
CONTINUING = ("LBRACE", "COMMA")
"""A line that ends with one of these goes on."""


class LineEndFilter(PostLex):
    """Drops line ends inside ( ) and [ ], after "{" and ",", and before "}"."""

    always_accept = (LINE_END,)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        previous: Token | None = None
        held: Token | None = None
        for token in stream:
            if token.type == LINE_END:
                if depth == 0 and previous is not None and previous.type not in CONTINUING:
                    held = token
                continue
            depth += (token.type in OPENING) - (token.type in CLOSING)
            if held is not None and token.type != "RBRACE":
                yield held
            held = None
            yield token
            previous = token
