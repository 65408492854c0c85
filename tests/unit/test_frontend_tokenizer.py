"""Tokenizers: round trips, and streaming that gives the same text in whole characters."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from frontends import FrontendError
from frontends.tokenizer import TextTokenizer

TEXT = ["the cat sat on the mat", "é ü ß 漢字 🙂", "two  spaces and\ttabs"] * 5
SPECIAL = ["<s>", "</s>", "<unk>"]


@cache
def byte_level() -> TextTokenizer:
    """GPT-2 and Llama-3 style."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return TextTokenizer(tokenizer.to_str().encode())


@cache
def byte_fallback() -> TextTokenizer:
    """Llama-2 style: spaces are "▁", unknown characters become byte tokens."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    pieces = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(pieces)
    letters = list("▁abcdefghijklmnopqrstuvwxyz")
    special = SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=letters, special_tokens=SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(["the cat sat on the mat"] * 5, trainer)
    tokenizer.add_tokens([name for name in special if tokenizer.token_to_id(name) is None])
    return TextTokenizer(tokenizer.to_str().encode())


def _streamed(tokenizer: TextTokenizer, tokens: list[int]) -> list[str]:
    stream = tokenizer.stream()
    return [stream.push(token) for token in tokens] + [stream.finish()]


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=30))
def test_byte_level_round_trip(text: str) -> None:
    tokens = byte_level().encode(text)
    assert byte_level().decode(tokens) == text
    pieces = _streamed(byte_level(), tokens)
    assert "".join(pieces) == text
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in pieces) or "\N{REPLACEMENT CHARACTER}" in text


@settings(max_examples=100, deadline=None)
@given(tokens=st.lists(st.integers(0, 320), max_size=30))
def test_streaming_equals_decoding(tokens: list[int]) -> None:
    """Also for tokens that are no valid text."""
    assert "".join(_streamed(byte_level(), tokens)) == byte_level().decode(tokens)


def test_a_character_of_several_tokens_comes_whole() -> None:
    tokens = byte_level().encode("a🦀b")
    pieces = _streamed(byte_level(), tokens)
    assert len(tokens) > 3
    assert [piece for piece in pieces if piece] == ["a", "🦀", "b"]


def test_spaces_of_sentencepiece_style() -> None:
    tokens = byte_fallback().encode("the cat sat")
    assert "".join(_streamed(byte_fallback(), tokens)) == "the cat sat"


def test_special_tokens_give_no_text() -> None:
    assert byte_level().decode([0, *byte_level().encode("hi"), 1]) == "hi"
    assert byte_level().token_text(0) == "<s>"
    assert byte_level().token_text(10**6) is None
    assert 256 < byte_level().vocabulary_size <= 300


def test_invalid_bytes_do_not_wait_forever() -> None:
    """A continuation byte without its start is given out as U+FFFD after at most 64 tokens: after 8 the pieces could differ."""
    (token,) = [t for t in range(300) if byte_level().token_text(t) == "¢"]  # byte 0xA2 in the byte-level alphabet
    pieces = _streamed(byte_level(), [token] * 80)
    assert pieces[63] and "".join(pieces) == "\N{REPLACEMENT CHARACTER}" * 80


def test_errors() -> None:
    with pytest.raises(FrontendError, match="tokenizer.json: error: the tokenizer failed: Cannot instantiate"):
        TextTokenizer(b"{}")
    with pytest.raises(FrontendError, match="is larger than 67108864 bytes"):
        TextTokenizer(bytes(64 * 1024 * 1024 + 1))
    with pytest.raises(FrontendError, match=r"a token is a number from 0 to 2\^32 - 1, found -1"):
        byte_level().decode([-1])
