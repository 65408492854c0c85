"""How byte-level tokenizers split a text before merging, by the name in `tokenizer.ggml.pre`.

A GGUF file names the splitting only; what the names mean is written in llama.cpp (`src/llama-vocab.cpp`, which has the
expressions of the published tokenizers beside its own).
"""

from __future__ import annotations

from dataclasses import dataclass

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_START = r"[^\r\n\p{L}\p{N}]?"

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = rf"{_CONTRACTIONS}|{_START}\p{{L}}+|\p{{N}}{{1,3}}|{_REST}"
QWEN2 = rf"{_CONTRACTIONS}|{_START}\p{{L}}+|\p{{N}}|{_REST}"
O200K = (
    rf"{_START}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_START}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?|\p{{N}}{{1,3}}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    rf"{_START}{_UPPER}*{_LOWER}+|{_START}{_UPPER}+{_LOWER}*|\p{{N}}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DIGIT = r"\p{N}"


@dataclass(frozen=True)
class Splitting:
    """Expressions, each applied to the pieces of the one before; a match is a piece, and so is what lies between.

    `whole_words`: a piece that is a token is not merged. `begins`: texts begin with the bos token if the file does
    not say. `composes`: texts are brought to NFC before.
    """

    expressions: tuple[str, ...]
    whole_words: bool = False
    begins: bool = False
    composes: bool = False


_GPT2 = Splitting((GPT2,))
_DIGITS = Splitting((DIGIT, GPT2))
_CL100K = Splitting((CL100K,))
_LLAMA3 = Splitting((CL100K,), whole_words=True, begins=True)
_QWEN2 = Splitting((QWEN2,))
_O200K = Splitting((O200K,))

SPLITTINGS: dict[str, Splitting] = {
    "default": Splitting((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo"), _GPT2),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), _DIGITS),
    **dict.fromkeys(("dbrx", "smaug-bpe"), _CL100K),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "falcon3", "lfm2"), _LLAMA3),
    "qwen2": Splitting((QWEN2,), composes=True),
    **dict.fromkeys(("stablelm2", "deepseek-r1-qwen", "megrez"), _QWEN2),
    **dict.fromkeys(("gpt-4o", "llama4"), _O200K),
    "tekken": Splitting((TEKKEN,), whole_words=True, begins=True),
}
