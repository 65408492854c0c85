"""The vocabulary of a GGUF file: its tokens with their kinds, and the tokens with a role."""

from __future__ import annotations

from dataclasses import dataclass

from frontends.errors import FrontendError, show
from frontends.gguf.header import GgufHeader
from frontends.gguf.metadata import flag_at, numbers_at, strings_at, text_at, token_at

PREFIX = "tokenizer.ggml."
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Kinds of tokens, as numbers in the file."""
ROLES = ("bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask")
"""Names of the keys `tokenizer.ggml.ROLE_token_id`, one with the spelling of the format."""
MAX_CHARACTERS = 1 << 22
"""Of all tokens together: twice the largest vocabulary known."""


@dataclass(frozen=True)
class Vocabulary:
    """`tokens` and `kinds` by id; `roles` name ids; `file` is for messages."""

    tokens: list[str]
    kinds: list[int]
    roles: dict[str, int]
    header: GgufHeader

    @property
    def file(self) -> str:
        return str(self.header.path)

    def is_added(self, token: int) -> bool:
        """Whether a token is found in a text before anything is split."""
        return self.kinds[token] in (UNKNOWN, CONTROL, USER_DEFINED)

    def used(self) -> list[int]:
        """The ids of tokens that a text can have."""
        return [token for token, kind in enumerate(self.kinds) if kind != UNUSED]

    def text(self, key: str) -> str | None:
        """A string of the tokenizer's metadata."""
        return text_at(self.header, PREFIX + key)

    def flag(self, key: str, default: bool) -> bool:
        return flag_at(self.header, PREFIX + key, default)

    def scores(self) -> list[float]:
        """The weight of each token, 0 where the file has none."""
        count = len(self.tokens)
        return numbers_at(self.header, PREFIX + "scores", count) or [0.0] * count

    def merges(self) -> list[str]:
        """`left right`, the most important first."""
        return strings_at(self.header, PREFIX + "merges")


def read_vocabulary(header: GgufHeader) -> Vocabulary:
    """Raises FrontendError if tokens, kinds or roles do not fit together."""
    file = str(header.path)
    tokens = strings_at(header, PREFIX + "tokens")
    if not tokens:
        raise FrontendError("the vocabulary has no tokens", file)
    if sum(map(len, tokens)) > MAX_CHARACTERS:
        raise FrontendError(f"the vocabulary has more than {MAX_CHARACTERS} characters", file)
    numbers = numbers_at(header, PREFIX + "token_type", len(tokens))
    kinds = [NORMAL] * len(tokens) if numbers is None else [int(number) for number in numbers]
    _check_unique(tokens, file)
    ids = {role: token_at(header, f"{PREFIX}{role}_token_id", len(tokens)) for role in ROLES}
    return Vocabulary(tokens, kinds, {role: token for role, token in ids.items() if token is not None}, header)


def _check_unique(tokens: list[str], file: str) -> None:
    if len(set(tokens)) == len(tokens):
        return
    first: dict[str, int] = {}
    for token, text in enumerate(tokens):
        if text in first:
            raise FrontendError(f"tokens {first[text]} and {token} of the vocabulary are both {show(text)}", file)
        first[text] = token
