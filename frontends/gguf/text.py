"""What a GGUF file says about text: tokenizer, chat template, special and stop tokens."""

from __future__ import annotations

from collections.abc import Callable

from frontends.chat.template import MAX_TEMPLATE_BYTES
from frontends.errors import FrontendError, show
from frontends.gguf.header import GgufHeader
from frontends.gguf.metadata import text_at
from frontends.gguf.tokenizers import UnknownTokenizerError, byte_level_tokenizer, sentencepiece_tokenizer
from frontends.gguf.vocabulary import Vocabulary, read_vocabulary
from frontends.model_files import TextFiles
from frontends.tokenizer import MAX_TOKENIZER_BYTES

MODEL_KEY, TEMPLATE_KEY = "tokenizer.ggml.model", "tokenizer.chat_template"
TOKENIZER_JSON_KEY = "tokenizer.huggingface.json"
NO_VOCABULARY = ("none", "no_vocab")
TOKENIZERS: dict[str, Callable[[Vocabulary], bytes]] = {"gpt2": byte_level_tokenizer, "llama": sentencepiece_tokenizer}
MAX_STOP_TOKENS = 8
"""As many as a running program can look for."""
END_ROLES = ("eos", "eot", "eom")
END_OF_TURN = ("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>")
"""Tokens that end an answer though many files name them nowhere; llama.cpp finds them by these texts too."""
SPECIAL_NAMES = {
    "bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token", "seperator": "sep_token",
    "mask": "mask_token",
}  # fmt: skip
"""Role -> the name that chat templates use."""


def read_text_files(header: GgufHeader) -> TextFiles:
    """A vocabulary of a kind that is not known becomes a note. Raises FrontendError for one that is broken."""
    model = text_at(header, MODEL_KEY)
    template = _template(header)
    if model is None or model in NO_VOCABULARY:
        return TextFiles(chat_template=template)
    vocabulary = read_vocabulary(header)
    tokenizer, notes = None, ()
    try:
        tokenizer = read_tokenizer(header, vocabulary)
    except UnknownTokenizerError as error:
        notes = (f"{error.remark()}; {error.hint}; prompts must be token ids",)
    return TextFiles(
        tokenizer,
        template,
        {
            SPECIAL_NAMES[role]: vocabulary.tokens[token]
            for role, token in vocabulary.roles.items()
            if role in SPECIAL_NAMES
        },
        _stop_tokens(vocabulary),
        notes,
    )


def _template(header: GgufHeader) -> str | None:
    template = text_at(header, TEMPLATE_KEY)
    if template is not None and len(template) > MAX_TEMPLATE_BYTES:
        raise FrontendError(f"the chat template has more than {MAX_TEMPLATE_BYTES} characters", str(header.path))
    return template


def read_tokenizer(header: GgufHeader, vocabulary: Vocabulary) -> bytes:
    """The tokenizer.json of a file that has a vocabulary, which a few files hold as it is."""
    whole = text_at(header, TOKENIZER_JSON_KEY)
    if whole is not None:
        return whole.encode("utf-8")
    model = text_at(header, MODEL_KEY)
    if model not in TOKENIZERS:
        hint = f"known are {', '.join(TOKENIZERS)}"
        raise UnknownTokenizerError(f"the tokenizer is of the unknown kind {show(model)}", str(header.path), hint=hint)
    content = TOKENIZERS[model](vocabulary)
    if len(content) > MAX_TOKENIZER_BYTES:
        raise FrontendError(f"the tokenizer is larger than {MAX_TOKENIZER_BYTES} bytes", str(header.path))
    return content


def _stop_tokens(vocabulary: Vocabulary) -> tuple[int, ...]:
    """The tokens that end a text or a turn: those with the role, and those known by their text."""
    ends = [vocabulary.roles[role] for role in END_ROLES if role in vocabulary.roles]
    known = {vocabulary.tokens[token]: token for token in vocabulary.used() if vocabulary.is_added(token)}
    ends += [known[text] for text in END_OF_TURN if text in known]
    return tuple(dict.fromkeys(ends))[:MAX_STOP_TOKENS]
