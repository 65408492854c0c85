"""The tokenizer of a checkpoint directory, a tokenizer.json, or an executable."""

from __future__ import annotations

from pathlib import Path

from frontends.files import read_bytes
from frontends.tokenizer import MAX_TOKENIZER_BYTES, TextTokenizer
from isa.container import Executable
from slmc.errors import CommandError
from slmc.executables import is_executable

FILE_NAME = "tokenizer.json"


def tokenizer_of(path: Path) -> TextTokenizer:
    """Raises CommandError if there is none, FrontendError if it cannot be read."""
    if is_executable(path):
        content: str | None = Executable.open(path, verify=False).meta["tokenizer"]
        if content is None:
            raise CommandError(f"{path} has no tokenizer")
        return TextTokenizer(content.encode("utf-8"), str(path))
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise CommandError(f"{file} does not exist", f"expected a directory with a {FILE_NAME}, or an executable")
    return TextTokenizer(read_bytes(file, MAX_TOKENIZER_BYTES), str(file))
