"""Files the commands write: each appears complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray


@contextmanager
def appearing(path: Path) -> Generator[BinaryIO]:
    """A file beside `path` that is moved into place when the block ends, unless it fails. Raises OSError."""
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.partial")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Lets `write` fill the file. Raises OSError."""
    with appearing(path) as file:
        write(file)


@contextmanager
def text_file(path: Path | None) -> Generator[TextIO | None]:
    """A text that is written piece by piece and appears when the block ends. Without a path None."""
    if path is None:
        yield None
        return
    with appearing(path) as file:
        text = TextIOWrapper(file, encoding="utf-8")
        try:
            yield text
        finally:
            text.detach()  # writes what is left; the file is closed by whoever opened it


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """NumPy's archive format, exactly at `path` whatever its suffix."""
    write_atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
