"""Small trained tokenizers of each kind, as the published ones are built, and their GGUF files as llama.cpp's
converter writes them (`conversion/base.py`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import gguf
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE

from tests.unit.vocabulary_texts import TEXTS

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SPACE = "▁"
CONTROL, USER_DEFINED = gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED


def split(expression: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(expression), behavior="isolated", invert=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip


def byte_level_kinds() -> dict[str, tuple[Any, pre_tokenizers.PreTokenizer]]:
    """Name in `tokenizer.ggml.pre` -> normaliser and splitting of the published tokenizers."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])
    return {
        "gpt-2": (None, byte_level),
        "phi-2": (None, byte_level),
        "olmo": (None, byte_level),
        "smollm": (None, digits),
        "refact": (None, digits),
        "llama-bpe": (None, split(LLAMA3)),
        "smaug-bpe": (None, split(LLAMA3)),
        "lfm2": (None, split(LLAMA3)),
        "qwen2": (normalizers.NFC(), split(QWEN2)),
        "stablelm2": (None, split(QWEN2)),
    }


WHOLE_WORDS = ("llama-bpe", "lfm2")


@cache
def byte_level(kind: str) -> Tokenizer:
    normalizer, splitting = byte_level_kinds()[kind]
    tokenizer = Tokenizer(BPE(ignore_merges=kind in WHOLE_WORDS))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitting
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens(["    ", "qzx"])
    if kind in WHOLE_WORDS:
        first = "<|endoftext|>"
        ids = [(first, tokenizer.token_to_id(first))]
        tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A", special_tokens=ids)
    return tokenizer


def add_byte_level(writer: gguf.GGUFWriter, document: dict[str, Any], rule: str) -> None:
    """The vocabulary and merges of a tokenizer.json, and an unused token."""
    added = {token["content"]: token for token in document["added_tokens"]}
    vocabulary = document["model"]["vocab"] | {text: token["id"] for text, token in added.items()}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    kinds = [int(gguf.TokenType.NORMAL)] * len(tokens)
    for index, token in enumerate(tokens):
        if token in added:
            kinds[index] = int(CONTROL if added[token]["special"] else USER_DEFINED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule)
    writer.add_token_list([*tokens, "[PAD0]"])
    writer.add_token_types([*kinds, gguf.TokenType.UNUSED])
    writer.add_token_merges([" ".join(merge) for merge in document["model"]["merges"]])
    writer.add_eos_token_id(vocabulary["<|endoftext|>"])
    writer.add_bos_token_id(vocabulary["<|endoftext|>"])


def write_byte_level(path: Path, kind: str, **changes: Any) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    add_byte_level(writer, json.loads(byte_level(kind).to_str()), changes.pop("pre", kind))
    for name, value in changes.items():
        writer.add_bool(f"tokenizer.ggml.{name}", value)
    return finish(writer, path)


@cache
def sentencepiece(prefix: bool) -> Tokenizer:
    """BPE with byte fallback over SentencePiece's spaces: Llama-2 with, Gemma without a space before the text."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    before = [normalizers.Replace(" ", SPACE)]
    after = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix:
        before.insert(0, normalizers.Prepend(SPACE))
        after.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer = normalizers.Sequence(before)
    tokenizer.decoder = decoders.Sequence(after)
    reserved = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=reserved, max_token_length=12, show_progress=False)
    words = [word for text in TEXTS[:6] for word in text.split(" ")]
    tokenizer.train_from_iterator(words if prefix else [f" {word}" for word in words], trainer)
    return tokenizer


def sentencepiece_pieces(prefix: bool) -> tuple[list[str], list[float], list[int]]:
    """Tokens by id, with SentencePiece's scores and the kinds of the converter."""
    document = json.loads(sentencepiece(prefix).to_str())
    vocabulary = document["model"]["vocab"]
    rank = {left + right: index for index, (left, right) in reversed(list(enumerate(document["model"]["merges"])))}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    scores = [float(-rank.get(token, len(rank))) for token in tokens]
    kinds = [int(gguf.TokenType.NORMAL)] * len(tokens)
    kinds[0] = int(gguf.TokenType.UNKNOWN)
    kinds[1] = kinds[2] = int(CONTROL)
    kinds[3:259] = [int(gguf.TokenType.BYTE)] * 256
    return tokens, scores, kinds


def write_sentencepiece(path: Path, prefix: bool, **changes: Any) -> Path:
    tokens, scores, kinds = sentencepiece_pieces(prefix)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*tokens, "<end_of_turn>", "  "])
    writer.add_token_scores([*scores, -1000.0, -1000.0])
    writer.add_token_types([*kinds, CONTROL, USER_DEFINED])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(prefix)
    for name, value in changes.items():
        writer.add_bool(f"tokenizer.ggml.{name}", value)
    return finish(writer, path)


def finish(writer: gguf.GGUFWriter, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert path.exists()
    return path
