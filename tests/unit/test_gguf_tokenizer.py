"""Tokenizers made from GGUF vocabularies against the ones that the vocabularies come from, and against SentencePiece's
rule in plain Python."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontends.gguf.header import read_header
from frontends.gguf.pretokenizers import SPLITTINGS
from frontends.gguf.text import read_text_files
from frontends.model_files import TextFiles
from frontends.tokenizer import TextTokenizer
from tests.unit.gguf_vocabularies import (
    SPACE,
    byte_level,
    byte_level_kinds,
    sentencepiece_pieces,
    write_byte_level,
    write_sentencepiece,
)
from tests.unit.vocabulary_texts import TEXTS

KINDS = sorted(byte_level_kinds())
ODD_TEXTS = [
    "",
    " ",
    "\n",
    "a\u0300b",
    "<|im_start|>user\nhi<|im_end|>",
    "x<|endoftext|>    y",
    "qzx qzxqzx",
    "\x00\x7f\ufffd",
]


@cache
def byte_level_files(kind: str) -> TextFiles:
    with TemporaryDirectory() as folder:
        return read_text_files(read_header(write_byte_level(Path(folder) / "a.gguf", kind)))


def tokenizer_of(files: TextFiles) -> TextTokenizer:
    assert files.tokenizer_json is not None
    return TextTokenizer(files.tokenizer_json)


@cache
def from_gguf(kind: str) -> TextTokenizer:
    return tokenizer_of(byte_level_files(kind))


@cache
def sentencepiece_from_gguf(prefix: bool) -> TextTokenizer:
    with TemporaryDirectory() as folder:
        return tokenizer_of(read_text_files(read_header(write_sentencepiece(Path(folder) / "a.gguf", prefix))))


@pytest.mark.parametrize("kind", KINDS)
def test_byte_level_encodes_like_its_origin(kind: str) -> None:
    for text in [*TEXTS, *ODD_TEXTS]:
        ids = byte_level(kind).encode(text).ids
        assert from_gguf(kind).encode(text) == ids, text
        assert from_gguf(kind).decode(ids) == byte_level(kind).decode(ids), text


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), text=st.text(max_size=40))
def test_byte_level_on_any_text(kind: str, text: str) -> None:
    assert from_gguf(kind).encode(text) == byte_level(kind).encode(text).ids


def test_the_kinds_differ() -> None:
    """The comparison could tell a wrong splitting."""
    for text, left, right in (
        ("12345", "gpt-2", "smollm"), ("12345", "llama-bpe", "qwen2"), ("It'S", "gpt-2", "stablelm2"),
        ("e\u0301", "qwen2", "stablelm2"), ("a b", "llama-bpe", "smaug-bpe"),
    ):  # fmt: skip
        assert from_gguf(left).encode(text) != from_gguf(right).encode(text), text


def test_default_splitting() -> None:
    """llama.cpp's own rule, which no published tokenizer has: punctuation, words, then digits in threes."""
    from tokenizers import Regex, pre_tokenizers

    steps = [
        pre_tokenizers.Split(Regex(expression), behavior="isolated", invert=False)
        for expression in SPLITTINGS["default"].expressions
    ]
    pieces = [
        piece for piece, _ in pre_tokenizers.Sequence(steps).pre_tokenize_str("Hi there, it's 12345 or $7+x\n ok")
    ]
    assert pieces == [
        "Hi",
        " there",
        ",",
        " it",
        "'",
        "s",
        " ",
        "123",
        "45",
        " or",
        " ",
        "$",
        "7",
        "+",
        "x",
        "\n",
        " ok",
    ]


@cache
def pieces(prefix: bool) -> tuple[dict[str, int], dict[str, float], list[int]]:
    tokens, scores, kinds = sentencepiece_pieces(prefix)
    normal = {token: index for index, token in enumerate(tokens) if kinds[index] == 1}
    return normal, {token: scores[index] for token, index in normal.items()}, kinds


def scalar_sentencepiece(text: str, prefix: bool) -> list[int]:
    """SentencePiece's BPE: of all neighbours whose join is a token, those with the best score are joined first."""
    ids, scores, _ = pieces(prefix)
    symbols = list((SPACE if prefix and text else "") + text.replace(" ", SPACE))
    while True:
        joins = [
            (scores[a + b], -i) for i, (a, b) in enumerate(zip(symbols, symbols[1:], strict=False)) if a + b in ids
        ]
        if not joins:
            break
        place = -max(joins)[1]
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
    encoded: list[int] = [1]
    for symbol in symbols:
        encoded += [ids[symbol]] if symbol in ids else [3 + byte for byte in symbol.encode()]
    return encoded


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_on_texts(prefix: bool) -> None:
    tokenizer = sentencepiece_from_gguf(prefix)
    for text in TEXTS:
        parts = text.split("  ")  # two spaces are a token of their own here
        for part in parts:
            assert tokenizer.encode(part) == scalar_sentencepiece(part, prefix), part
            assert tokenizer.decode(tokenizer.encode(part)) == part


@settings(max_examples=150, deadline=None)
@given(prefix=st.booleans(), words=st.lists(st.text("abcdefghilmnoprstuvwyé漢 ", min_size=1, max_size=12), max_size=6))
def test_sentencepiece_on_any_text(prefix: bool, words: list[str]) -> None:
    text = " ".join(words)
    while "  " in text:
        text = text.replace("  ", " ")
    assert sentencepiece_from_gguf(prefix).encode(text) == scalar_sentencepiece(text, prefix)


def test_added_tokens_of_sentencepiece() -> None:
    tokenizer = sentencepiece_from_gguf(True)
    turn, spaces = tokenizer.vocabulary_size - 2, tokenizer.vocabulary_size - 1
    assert tokenizer.encode("<end_of_turn>") == [1, turn]
    assert spaces in tokenizer.encode("a  b")
    assert tokenizer.decode([turn]) == ""
    assert tokenizer.decode(tokenizer.encode("a  b")) == "a   b"


def test_special_tokens_and_stop_tokens(tmp_path: Path) -> None:
    files = byte_level_files("qwen2")
    ids = byte_level("qwen2").get_vocab()
    assert files.stop_tokens == (ids["<|endoftext|>"], ids["<|im_end|>"])
    assert files.special_tokens == {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    gemma = read_text_files(read_header(write_sentencepiece(tmp_path / "a.gguf", False)))
    assert gemma.stop_tokens == (2, sentencepiece_from_gguf(False).vocabulary_size - 2)
    assert gemma.special_tokens == {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


@pytest.mark.parametrize(
    ("flags", "start", "end"),
    [
        ({}, 1, 0),
        ({"add_bos_token": False}, 0, 0),
        ({"add_eos_token": True}, 1, 1),
        ({"add_bos_token": False, "add_eos_token": True}, 0, 1),
    ],
)
def test_flags_add_tokens(flags: dict[str, bool], start: int, end: int, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(read_text_files(read_header(write_sentencepiece(tmp_path / "a.gguf", True, **flags))))
    ids = tokenizer.encode("the fox")
    assert ids[:start] == [1] * start
    assert ids[len(ids) - end :] == [2] * end
    assert ids[start : len(ids) - end] == scalar_sentencepiece("the fox", True)[1:]


def test_bos_of_byte_level(tmp_path: Path) -> None:
    """Llama 3 files begin texts with it unless they say otherwise, Qwen files do not."""
    first = byte_level("llama-bpe").token_to_id("<|endoftext|>")
    assert from_gguf("llama-bpe").encode("x")[0] == first
    assert len(from_gguf("qwen2").encode("x")) == 1
    files = read_text_files(read_header(write_byte_level(tmp_path / "a.gguf", "llama-bpe", add_bos_token=False)))
    assert tokenizer_of(files).encode("x") == from_gguf("llama-bpe").encode("x")[1:]


def test_a_rule_that_is_not_known_becomes_a_note(tmp_path: Path) -> None:
    files = read_text_files(read_header(write_byte_level(tmp_path / "a.gguf", "gpt-2", pre="new-rule")))
    assert files.tokenizer_json is None
    (note,) = files.notes
    assert 'the tokenizer splits texts by the unknown rule "new-rule"; known are default, gpt-2' in note
    assert note.endswith("prompts must be token ids")
    assert files.stop_tokens
