"""A path -> the files of a model in the format they are in."""

from __future__ import annotations

from pathlib import Path

from frontends.errors import FrontendError
from frontends.files import read_bytes
from frontends.huggingface import open_architecture, open_config, open_directory, text_of_directory
from frontends.model_files import ModelFiles, TextFiles
from frontends.tokenizer import MAX_TOKENIZER_BYTES
from frontends.weights.checkpoint import CONVERT_HINT, PICKLED_PATTERNS

GGUF_MAGIC, GGUF_SUFFIX = b"GGUF", ".gguf"


def open_model(path: Path) -> ModelFiles:
    """A Hugging Face directory, a GGUF file, or a bare config.json or .slm file. Raises FrontendError."""
    if path.is_dir():
        return open_directory(path)
    if is_gguf(path):
        # Here, because the gguf package takes longer to import than everything else of the frontends.
        from frontends.gguf.model import open_gguf

        return open_gguf(path)
    if not path.exists():
        raise FrontendError("there is no such file or directory", str(path))
    if path.suffix == ".slm":
        return open_architecture(path)
    if path.suffix == ".json":
        return open_config(path)
    if any(path.match(pattern) for pattern in PICKLED_PATTERNS):
        raise FrontendError(
            "is a pickled checkpoint, which can run code when it is loaded", str(path), hint=CONVERT_HINT
        )
    hint = "expected a Hugging Face directory, a GGUF file, a config.json or a .slm file"
    raise FrontendError("this is not a checkpoint that can be read", str(path), hint=hint)


def read_text_files(path: Path) -> TextFiles:
    """Tokenizer and chat template alone: of a directory, a GGUF file, or a tokenizer.json. Raises FrontendError."""
    if path.is_dir():
        return text_of_directory(path, {}, str(path))
    if is_gguf(path):
        from frontends.gguf.model import open_gguf

        return open_gguf(path).text()
    return TextFiles(read_bytes(path, MAX_TOKENIZER_BYTES))


def is_gguf(path: Path) -> bool:
    """Whether a path is to be read as GGUF: by its first bytes, or by its name."""
    if path.suffix == GGUF_SUFFIX or not path.is_file():
        return path.suffix == GGUF_SUFFIX and path.exists()
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False
