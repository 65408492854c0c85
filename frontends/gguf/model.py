"""A GGUF file as the files of a model."""

from __future__ import annotations

from pathlib import Path

from frontends.gguf.checkpoint import GgufCheckpoint
from frontends.gguf.header import read_header
from frontends.gguf.metadata import config_document
from frontends.gguf.text import read_text_files
from frontends.huggingface import read_architecture_file
from frontends.model_files import ModelFiles

FORMAT = "gguf"


def open_gguf(path: Path) -> ModelFiles:
    """Raises FrontendError for anything wrong in the header. A .slm file of the same name beside the file is taken."""
    header = read_header(path)
    checkpoint = GgufCheckpoint(header)
    own = path.with_suffix(".slm")
    return ModelFiles(
        FORMAT,
        config_document(header),
        lambda: read_text_files(header),
        read_architecture_file(own) if own.is_file() else None,
        lambda: checkpoint,
    )
