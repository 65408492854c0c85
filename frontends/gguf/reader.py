"""The primitives of a GGUF file: numbers, strings and arrays, little-endian, never beyond the end of the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontends.errors import FrontendError
from frontends.files import map_file

MAX_STRING_BYTES = 1 << 24
MAX_ARRAY_ITEMS = 1 << 21
"""Of all arrays of a file together: ten times a vocabulary of 200,000 tokens."""

FLOAT32, BOOL, STRING, ARRAY = 6, 7, 8, 9
SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8"}
"""Type number in the file -> NumPy type; bool, string and array are 7, 8 and 9."""
UINT32 = struct.Struct("<I")
UINT64 = struct.Struct("<Q")


@dataclass(frozen=True, eq=False)
class Strings:
    """An array of strings, as bytes: a token need not be text."""

    items: list[bytes]


Value = int | float | bool | str | Strings | NDArray[Any]
"""Metadata: one value, an array of strings, or a one-dimensional array of numbers or bools."""


class GgufReader:
    """A position in a mapped file. Every method raises FrontendError for what does not fit."""

    def __init__(self, path: Path):
        self.path = path
        self.data = map_file(path)
        self.position = 0
        self._view = self.data.data
        self._array_items = 0

    def error(self, message: str) -> FrontendError:
        return FrontendError(message, str(self.path))

    def uint32(self, what: str) -> int:
        return self._number(UINT32, what)

    def uint64(self, what: str) -> int:
        return self._number(UINT64, what)

    def text(self, what: str, max_bytes: int = MAX_STRING_BYTES) -> str:
        """A string that must be UTF-8."""
        start = self.position
        content = self._string(what, max_bytes)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"{what} at byte {start} is not UTF-8 text") from error

    def value(self, what: str) -> Value:
        """A type number and the value."""
        kind = self.uint32(what)
        if kind == STRING:
            return self.text(what)
        if kind == ARRAY:
            return self._array(what)
        if kind == BOOL:
            return bool(self._numbers("<u1", 1, what)[0])
        number = self._numbers(self._scalar(kind, what), 1, what)[0]
        return shortest(number) if kind == FLOAT32 else number.item()

    def skip_to_multiple(self, alignment: int) -> None:
        self.position = -(-self.position // alignment) * alignment

    def _scalar(self, kind: int, what: str) -> str:
        if kind not in SCALARS:
            raise self.error(f"{what} at byte {self.position} has the unknown type {kind}")
        return SCALARS[kind]

    def _array(self, what: str) -> Value:
        kind, count = self.uint32(what), self.uint64(what)
        self._array_items += count
        if self._array_items > MAX_ARRAY_ITEMS:
            raise self.error(f"{what} has {count} items; all arrays together have at most {MAX_ARRAY_ITEMS}")
        if kind == STRING:
            return Strings([self._string(what, MAX_STRING_BYTES) for _ in range(count)])
        if kind == BOOL:
            return self._numbers("<u1", count, what) != 0
        return self._numbers(self._scalar(kind, what), count, what)

    def _number(self, form: struct.Struct, what: str) -> int:
        if self.position + form.size > len(self.data):
            raise self._cut_off(what)
        (number,) = form.unpack_from(self._view, self.position)
        self.position += form.size
        return number

    def _numbers(self, dtype: str, count: int, what: str) -> NDArray[Any]:
        end = self.position + count * np.dtype(dtype).itemsize
        if end > len(self.data):
            raise self._cut_off(what)
        numbers = self.data[self.position : end].view(dtype)
        self.position = end
        return numbers

    def _string(self, what: str, max_bytes: int) -> bytes:
        length = self._number(UINT64, what)
        if length > max_bytes:
            raise self.error(f"{what} at byte {self.position} is a string of {length} bytes, at most {max_bytes}")
        start, self.position = self.position, self.position + length
        if self.position > len(self.data):
            raise self._cut_off(what)
        return bytes(self._view[start : self.position])

    def _cut_off(self, what: str) -> FrontendError:
        return self.error(f"is cut off in {what}: the file has {len(self.data)} bytes")


def shortest(number: np.float32) -> float:
    """The decimal number with the fewest digits that rounds to this float32: what a config had before it was stored."""
    return float(str(number))
