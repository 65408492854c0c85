"""Reads a safetensors file: 8 bytes header length, a JSON header, then the tensors.

The header is checked completely before any tensor is touched; tensors are views of the mapped file.
Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from compiler.formats import to_float32
from frontends.errors import FrontendError, show
from frontends.files import MIB, map_file, parse_json_object

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 16 * MIB
MAX_RANK = 8

ELEMENT_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
WEIGHT_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
"""The types that weights may have, as NumPy reads them; bf16 as its bits."""
READABLE = {**WEIGHT_TYPES, "I8": "i1", "U8": "u1"}


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the header; offsets count from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


class SafetensorsFile:
    """An open file. Raises FrontendError for anything wrong in it."""

    def __init__(self, path: Path):
        self.path = path
        self._bytes = map_file(path)
        self._data_offset, header = self._header()
        self.entries = {name: self._entry(name, value) for name, value in header.items() if name != "__metadata__"}
        self._check_overlap()

    def load(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """A tensor of an F32, F16 or BF16 entry as float32, or items [start, stop) of its first dimension.

        F32 is a view of the mapped file.
        """
        return to_float32(self.stored(name, start, stop))

    def stored(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """The same as a view of the mapped file: f32, f16, or bf16 as its bits (uint16)."""
        entry = self.entries[name]
        if entry.dtype not in WEIGHT_TYPES:
            known = ", ".join(WEIGHT_TYPES)
            raise self._error(f"tensor {show(name)} has the type {entry.dtype}, weights have {known}")
        stored = self.view(name)
        return stored if stop is None else stored[start:stop]

    def view(self, name: str) -> NDArray[Any]:
        """The mapped elements of a tensor of one of the READABLE types."""
        entry = self.entries[name]
        raw = self._bytes[self._data_offset + entry.start : self._data_offset + entry.end]
        return raw.view(READABLE[entry.dtype]).reshape(entry.shape)

    def _error(self, message: str) -> FrontendError:
        return FrontendError(message, str(self.path))

    def _header(self) -> tuple[int, dict[str, Any]]:
        size = len(self._bytes)
        if size < LENGTH_BYTES:
            raise self._error(f"is not a safetensors file: it has {size} bytes")
        (length,) = struct.unpack("<Q", self._bytes[:LENGTH_BYTES].tobytes())
        if length > MAX_HEADER_BYTES:
            raise self._error(f"the header has {length} bytes, the largest accepted is {MAX_HEADER_BYTES}")
        if LENGTH_BYTES + length > size:
            raise self._error(f"is cut off: the header has {length} bytes, the file {size}")
        content = self._bytes[LENGTH_BYTES : LENGTH_BYTES + length].tobytes()
        return LENGTH_BYTES + length, parse_json_object(content, f"{self.path} (header)")

    def _entry(self, name: str, value: object) -> TensorEntry:
        if not isinstance(value, dict):
            raise self._error(f"tensor {show(name)}: the header entry must be an object, found {show(value)}")
        fields = cast(dict[str, object], value)
        if set(fields) != {"dtype", "shape", "data_offsets"}:
            found = show(sorted(fields))
            raise self._error(f"tensor {show(name)} must have dtype, shape and data_offsets, found {found}")
        dtype = fields["dtype"]
        if not isinstance(dtype, str) or dtype not in ELEMENT_BYTES:
            raise self._error(f"tensor {show(name)} has the unknown type {show(dtype)}")
        shape = self._integers(name, "shape", fields["shape"])
        offsets = self._integers(name, "data_offsets", fields["data_offsets"])
        if len(shape) > MAX_RANK:
            raise self._error(f"tensor {show(name)} has {len(shape)} dimensions, the largest accepted is {MAX_RANK}")
        if len(offsets) != 2:
            raise self._error(f"tensor {show(name)}: data_offsets must be two integers, found {show(offsets)}")
        entry = TensorEntry(name, dtype, shape, *offsets)
        self._check_extent(entry)
        return entry

    def _integers(self, name: str, what: str, value: object) -> tuple[int, ...]:
        items = cast(list[object], value) if isinstance(value, list) else None
        if items is None or len(items) > 64:
            raise self._error(f"tensor {show(name)}: {what} must be a list of integers, found {show(value)}")
        numbers = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool) and item >= 0)
        if len(numbers) != len(items):
            raise self._error(f"tensor {show(name)}: {what} must be a list of integers, found {show(value)}")
        return numbers

    def _check_extent(self, entry: TensorEntry) -> None:
        data_bytes = len(self._bytes) - self._data_offset
        if not entry.start <= entry.end <= data_bytes:
            found = f"[{entry.start}, {entry.end}] of {data_bytes} bytes"
            raise self._error(f"tensor {show(entry.name)}: data_offsets are outside of the file, found {found}")
        expected = prod(entry.shape) * ELEMENT_BYTES[entry.dtype]
        if entry.end - entry.start != expected:
            found = f"{list(entry.shape)} of {entry.dtype} needs {expected} bytes, found {entry.end - entry.start}"
            raise self._error(f"tensor {show(entry.name)}: {found}")

    def _check_overlap(self) -> None:
        entries = sorted((entry for entry in self.entries.values() if entry.end > entry.start), key=lambda e: e.start)
        for left, right in zip(entries, entries[1:], strict=False):
            if right.start < left.end:
                raise self._error(f"tensors {show(left.name)} and {show(right.name)} overlap")
