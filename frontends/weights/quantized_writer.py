"""Writes the directory of `slmc quantize`: beside it under another name, and in its place when it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from compiler.nibbles import pack_elements
from frontends.chat.template import CONFIG_FILE as TOKENIZER_CONFIG_FILE
from frontends.chat.template import TEMPLATE_FILE
from frontends.errors import FrontendError
from frontends.huggingface import CONFIG_FILE, TOKENIZER_FILE
from frontends.image_processing import FILES as IMAGE_FILES
from frontends.stop_tokens import GENERATION_FILE
from frontends.weights.quantized_record import (
    ELEMENTS,
    NIBBLES,
    OFFSETS,
    RECORD_FILE,
    SCALES,
    STORED_TYPES,
    QuantizationRecord,
    integer_parts,
    is_quantized,
)
from frontends.weights.safetensors_writer import SafetensorsWriter, TypedShape

SHARD_BYTES = 4 << 30
COPIED = (CONFIG_FILE, TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, TEMPLATE_FILE, GENERATION_FILE, *IMAGE_FILES)
"""What the loader reads of a directory besides tensors, and a .slm file."""

Shape = tuple[int, ...]


class QuantizedDirectory:
    """A directory in the making; use it as a context manager, which leaves nothing behind unless `finish` was called.

    shapes: of all weights, matrices [N, K]; formats: of those in quantised formats; dtypes (f32, f16, bf16): of all others
    that have tensors of their own. Raises FrontendError for a place that cannot be taken, OSError.
    """

    def __init__(
        self,
        path: Path,
        source: Path,
        shapes: Mapping[str, Shape],
        formats: Mapping[str, WeightFormat],
        dtypes: Mapping[str, str],
        shard_bytes: int = SHARD_BYTES,
    ):
        self._path = path
        self._shapes, self._formats, self._dtypes = shapes, formats, dtypes
        self._partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.partial")
        try:
            self._partial.mkdir()
            self._copy_files(source)
            self._writer = SafetensorsWriter(self._partial, self._tensors(), shard_bytes)
        except BaseException:
            self._remove()
            raise

    def __enter__(self) -> QuantizedDirectory:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.abandon()
        self._remove()

    def put_rows(self, name: str, first: int, part: Quantized) -> None:
        """Rows [first, ..) of a matrix in its quantised format. Threads may call it at once."""
        stored = pack_elements(part.q, part.format.element, NIBBLES)
        arrays: dict[str, NDArray[np.generic]] = {ELEMENTS: stored, SCALES: part.scales}
        if part.offsets is not None:
            arrays[OFFSETS] = part.offsets
        for suffix, array in arrays.items():
            self._writer.write(name + suffix, first * (array.nbytes // max(1, len(array))), array)

    def put_values(self, name: str, first: int, values: NDArray[np.float32]) -> None:
        """Elements [first, ..) of another weight, flat; its type holds them exactly."""
        dtype = self._dtypes[name]
        if dtype == "bf16":
            stored: NDArray[np.generic] = (np.ascontiguousarray(values).view(np.uint32) >> 16).astype(np.uint16)
        else:
            stored = values.astype(np.float16 if dtype == "f16" else np.float32, copy=False)
        self._writer.write(name, first * stored.itemsize, stored)

    def finish(self, record: QuantizationRecord) -> None:
        """Writes the record and puts the directory in its place."""
        self._writer.close()
        with (self._partial / RECORD_FILE).open("x", encoding="utf-8") as file:
            file.write(record.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(self._partial)
        old = self._path.with_name(f"{self._partial.name}.old")
        if self._path.exists():
            self._path.rename(old)
        self._partial.rename(self._path)
        _sync_directory(self._path.parent)
        shutil.rmtree(old, ignore_errors=True)

    def _tensors(self) -> dict[str, TypedShape]:
        tensors: dict[str, TypedShape] = {}
        for name, shape in self._shapes.items():
            if name in self._formats:
                parts = integer_parts(shape, self._formats[name])
                tensors |= {name + suffix: part for suffix, part in parts.items()}
            elif name in self._dtypes:
                tensors[name] = (STORED_TYPES[self._dtypes[name]], shape)
        return tensors

    def _copy_files(self, source: Path) -> None:
        own = sorted(source.glob("*.slm"))
        for path in [*(source / name for name in COPIED), *own]:
            if path.is_file():
                with path.open("rb") as original, (self._partial / path.name).open("xb") as file:
                    shutil.copyfileobj(original, file)
                    file.flush()
                    os.fsync(file.fileno())

    def _remove(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)


def check_place(path: Path, replace: bool) -> None:
    """Raises FrontendError unless a directory can be written there: there is none, an empty one, or one of `slmc quantize`
    that is to be replaced."""
    if not path.parent.is_dir():
        raise FrontendError("there is no such folder to write to", str(path.parent))
    if not path.exists():
        return
    if not path.is_dir() or (any(path.iterdir()) and not is_quantized(path)):
        raise FrontendError("there is something else in this place", str(path), hint="choose another name")
    if any(path.iterdir()) and not replace:
        raise FrontendError("there is a quantised model in this place", str(path), hint="replace it with --force")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
