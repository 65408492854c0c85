"""The files of a Hugging Face directory, or a config.json or .slm file alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frontends.chat.template import read_chat_files
from frontends.configuration.resolve import Document
from frontends.errors import FrontendError
from frontends.files import read_bytes, read_json_object, read_text
from frontends.language.parser import MAX_SOURCE_CHARACTERS, parse
from frontends.language.source import SourceText
from frontends.language.syntax import ArchitectureFile
from frontends.model_files import ModelFiles, TextFiles
from frontends.stop_tokens import read_stop_tokens
from frontends.tokenizer import MAX_TOKENIZER_BYTES
from frontends.weights.checkpoint import open_checkpoint
from frontends.weights.quantized_record import is_quantized, read_record
from frontends.weights.quantized_store import QuantizedWeights

FORMAT = "hf"
CONFIG_FILE, TOKENIZER_FILE = "config.json", "tokenizer.json"


def open_directory(path: Path) -> ModelFiles:
    """Raises FrontendError if there is no config.json, or more than one .slm file beside it."""
    own = sorted(path.glob("*.slm"))
    if len(own) > 1:
        raise FrontendError(f"there are {len(own)} .slm files in this directory, expected one", str(path))
    config_path = path / CONFIG_FILE
    if not config_path.exists():
        others = sorted(path.glob("*.gguf"))
        hint = f"give the GGUF file itself: {others[0]}" if others else None
        raise FrontendError(f"there is no {CONFIG_FILE} in this directory", str(path), hint=hint)
    document = Document(read_json_object(config_path), str(config_path))
    record = read_record(path) if is_quantized(path) else None
    return ModelFiles(
        FORMAT,
        document,
        lambda: text_of_directory(path, document.values, document.name),
        read_architecture_file(own[0]) if own else None,
        None if record else lambda: open_checkpoint(path),
        (lambda scope: QuantizedWeights(scope, record, open_checkpoint(path))) if record else None,
        record.scheme if record else None,
    )


def open_config(path: Path) -> ModelFiles:
    """A config.json, without weights."""
    document = Document(read_json_object(path), str(path))
    return ModelFiles(FORMAT, document, lambda: _only_stop_tokens(document))


def open_architecture(path: Path) -> ModelFiles:
    """A .slm file, without config and weights."""
    document = Document({}, "the config")
    return ModelFiles(FORMAT, document, TextFiles, read_architecture_file(path))


def read_architecture_file(path: Path) -> ArchitectureFile:
    return parse(SourceText(path.name, read_text(path, MAX_SOURCE_CHARACTERS)))


def text_of_directory(path: Path, config: Mapping[str, Any], config_name: str) -> TextFiles:
    """tokenizer.json, the chat template with its special tokens, and the stop tokens, as far as they are there."""
    tokenizer = path / TOKENIZER_FILE
    template, special_tokens = read_chat_files(path)
    return TextFiles(
        read_bytes(tokenizer, MAX_TOKENIZER_BYTES) if tokenizer.exists() else None,
        template,
        special_tokens,
        read_stop_tokens(path, config, config_name),
    )


def _only_stop_tokens(document: Document) -> TextFiles:
    return TextFiles(stop_tokens=read_stop_tokens(None, document.values, document.name))
