"""A GGUF vocabulary -> the tokenizer.json that says the same.

Two kinds of vocabulary are known. "gpt2" is byte-level BPE: merges in the file, splitting by name (pretokenizers.py).
"llama" is BPE as SentencePiece does it: the file has a score for each token instead of merges, so a merge exists
wherever a token is the join of two others, and its rank is that of the token's score. That is how
`generate_merges` of Hugging Face transformers (`convert_slow_tokenizer.py`) makes tokenizers from SentencePiece models.
"""

from __future__ import annotations

import json
from typing import Any

from frontends.errors import FrontendError, show
from frontends.gguf.pretokenizers import SPLITTINGS
from frontends.gguf.vocabulary import NORMAL, USER_DEFINED, Vocabulary

SPACE = "▁"
MAX_MERGED_CHARACTERS = 512
"""Of a SentencePiece token. Longer ones would take quadratic time, and the trainer makes none."""
Json = dict[str, Any]


class UnknownTokenizerError(FrontendError):
    """The file is right, but its tokenizer is of a kind that is not known."""


def byte_level_tokenizer(vocabulary: Vocabulary) -> bytes:
    """The tokenizer.json of a "gpt2" vocabulary. Raises FrontendError."""
    name = vocabulary.text("pre") or "default"
    if name not in SPLITTINGS:
        hint = f"known are {', '.join(SPLITTINGS)}"
        message = f"the tokenizer splits texts by the unknown rule {show(name)}"
        raise UnknownTokenizerError(message, vocabulary.file, hint=hint)
    splitting = SPLITTINGS[name]
    splits: list[Json] = [
        {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        for expression in splitting.expressions
    ]
    splits.append({"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False})
    model = {"ignore_merges": splitting.whole_words, "merges": _listed_merges(vocabulary)}
    return _tokenizer_json(
        vocabulary,
        model,
        normalizer={"type": "NFC"} if splitting.composes else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": splits},
        decoder={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        begins=splitting.begins,
    )


def sentencepiece_tokenizer(vocabulary: Vocabulary) -> bytes:
    """The tokenizer.json of a "llama" vocabulary."""
    prefix = vocabulary.flag("add_space_prefix", True)
    unknown = vocabulary.roles.get("unknown", 0)
    model = {
        "unk_token": vocabulary.tokens[unknown] if vocabulary.kinds[unknown] != NORMAL else None,
        "fuse_unk": True,
        "byte_fallback": True,
        "merges": _scored_merges(vocabulary),
    }
    before: list[Json] = [{"type": "Prepend", "prepend": SPACE}] if prefix else []
    before.append({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})
    after: list[Json] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if prefix:
        after.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return _tokenizer_json(
        vocabulary,
        model,
        normalizer={"type": "Sequence", "normalizers": before},
        pre_tokenizer=None,
        decoder={"type": "Sequence", "decoders": after},
        begins=True,
    )


def _listed_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """The merges of the file whose parts and result are tokens; the library takes no others."""
    tokens = set(vocabulary.tokens)
    merges: list[tuple[str, str]] = []
    for merge in vocabulary.merges():
        left, _, right = merge[1:].partition(" ")
        left = merge[:1] + left
        if left in tokens and right in tokens and left + right in tokens:
            merges.append((left, right))
    return merges


def _scored_merges(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    """Of equal scores the lower id comes first, and of the splits of one token the longest left part."""
    tokens, scores = vocabulary.tokens, vocabulary.scores()
    normal = [token for token, kind in enumerate(vocabulary.kinds) if kind == NORMAL]
    pieces = {tokens[token] for token in normal}
    merges: list[tuple[str, str]] = []
    for token in sorted(normal, key=lambda token: -scores[token]):
        text = tokens[token]
        if len(text) > MAX_MERGED_CHARACTERS:
            message = f"token {token} has {len(text)} characters, at most {MAX_MERGED_CHARACTERS} can be merged"
            raise FrontendError(message, vocabulary.file)
        for end in range(len(text) - 1, 0, -1):
            left = text[:end]
            if left in pieces and (right := text[end:]) in pieces:
                merges.append((left, right))
    return merges


def _tokenizer_json(
    vocabulary: Vocabulary,
    model: Json,
    *,
    normalizer: Json | None,
    pre_tokenizer: Json | None,
    decoder: Json,
    begins: bool,
) -> bytes:
    used = vocabulary.used()
    added = [
        {
            "id": token,
            "content": vocabulary.tokens[token],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": vocabulary.kinds[token] != USER_DEFINED,
        }
        for token in used
        if vocabulary.is_added(token)
    ]
    document: Json = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": _post_processor(vocabulary, begins),
        "decoder": decoder,
        "model": {"type": "BPE", "vocab": {vocabulary.tokens[token]: token for token in used}, **model},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _post_processor(vocabulary: Vocabulary, begins: bool) -> Json | None:
    """Puts the bos token before a text and the eos token behind it, as the file says."""
    parts: list[Json] = [{"Sequence": {"id": "A", "type_id": 0}}]
    special: Json = {}
    for role, flag, default, place in (("bos", "add_bos_token", begins, 0), ("eos", "add_eos_token", False, 2)):
        if not vocabulary.flag(flag, default):
            continue
        if role not in vocabulary.roles:
            raise FrontendError(f"{flag} is true, but the file names no {role} token", vocabulary.file)
        token = vocabulary.roles[role]
        text = vocabulary.tokens[token]
        special[text] = {"id": text, "ids": [token], "tokens": [text]}
        parts.insert(place, {"SpecialToken": {"id": text, "type_id": 0}})
    if not special:
        return None
    pair = [*parts, {"Sequence": {"id": "B", "type_id": 1}}]
    return {"type": "TemplateProcessing", "single": parts, "pair": pair, "special_tokens": special}
