"""Text to tokens and back, through the `tokenizers` library; and a decoder for text that is printed as it grows."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from os.path import commonprefix

from tokenizers import Tokenizer

from frontends.errors import FrontendError, printable, show
from frontends.files import MIB

MAX_TOKENIZER_BYTES = 64 * MIB
MAX_TEXT_CHARACTERS = 16 * MIB
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
MAX_PENDING_TOKENS = 64
"""A character is at most four bytes; text that is no valid UTF-8 is held back in the hope of an end, but not for ever."""


@contextmanager
def _tokenizer_errors(file: str) -> Generator[None]:
    """The library raises plain exceptions, and for its own mistakes one that is not even an Exception."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise FrontendError(f"the tokenizer failed: {show(str(error))[1:-1]}", file) from error
        raise


class TextTokenizer:
    """A tokenizer.json."""

    def __init__(self, content: bytes, file: str = "tokenizer.json"):
        """Raises FrontendError if the content is too large or not a tokenizer."""
        self._file = file
        if len(content) > MAX_TOKENIZER_BYTES:
            raise FrontendError(f"is larger than {MAX_TOKENIZER_BYTES} bytes, the largest accepted here", file)
        with _tokenizer_errors(file):
            self._tokenizer = Tokenizer.from_buffer(content)
            self.vocabulary_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, *, bare: bool = False) -> list[int]:
        """Token ids, with the tokens that the tokenizer puts before and after a text.

        `bare`: without them, for a text that a chat template has given its own. Special tokens written in the text
        are special in any case.
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise FrontendError(f"a text has at most {MAX_TEXT_CHARACTERS} characters, found {len(text)}")
        with _tokenizer_errors(self._file):
            return list(self._tokenizer.encode(text, add_special_tokens=not bare).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text without special tokens; ids that the tokenizer does not have give no text."""
        for token in tokens:
            if not 0 <= token < 2**32:
                raise FrontendError(f"a token is a number from 0 to 2^32 - 1, found {token}")
        with _tokenizer_errors(self._file):
            return self._tokenizer.decode(list(tokens), skip_special_tokens=True)

    def token_text(self, token: int) -> str | None:
        """The vocabulary's entry for a token, made printable; None if there is none."""
        with _tokenizer_errors(self._file):
            entry = self._tokenizer.id_to_token(token)
        return None if entry is None else printable(entry)

    def stream(self) -> StreamDecoder:
        """A decoder that takes tokens one at a time."""
        return StreamDecoder(self)


class StreamDecoder:
    """Gives the text that each token adds; the pieces and `finish` together are the decoded text.

    A token may end inside a character, and its spaces may depend on the token before. So the last tokens are decoded
    together with those before them, and text is given only when it ends with a whole character.
    """

    def __init__(self, tokenizer: TextTokenizer):
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        """Those given out last, as context, and after them those that wait."""
        self._context = 0

    def push(self, token: int) -> str:
        """The text that is complete now and was not before; may be empty."""
        self._tokens.append(token)
        text = self._text_after_context()
        pending = len(self._tokens) - self._context
        if text.endswith(REPLACEMENT) and pending < MAX_PENDING_TOKENS:
            return ""
        return self._give(text)

    def finish(self) -> str:
        """What is left at the end; an unfinished character becomes U+FFFD."""
        return self._give(self._text_after_context())

    def _text_after_context(self) -> str:
        known = self._tokenizer.decode(self._tokens[: self._context])
        text = self._tokenizer.decode(self._tokens)
        return text[len(commonprefix([known, text])) :]

    def _give(self, text: str) -> str:
        self._tokens = self._tokens[self._context :]
        self._context = len(self._tokens)
        return text
