"""Memory of the tile interpreter: DRAM regions, SRAM and SMEM as bytes, and typed views of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.blocks import NIBBLE_GROUP, NIBBLES, QUAD_BYTES, QUADS, unblock_rows
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slmq_functions import bf16_bits, bf16_values, f16_stored, to_i8
from compiler.interpreters.slmq_microscaling import elements_of, scales_of
from compiler.nibbles import pack_i4, unpack_elements, unpack_sparse
from isa.spec import BLOCK_ROWS

Bytes = NDArray[np.uint8]
F32 = NDArray[np.float32]
STORAGE: dict[str, type[np.generic]] = {
    "f32": np.float32, "f16": np.float16, "bf16": np.uint16, "i32": np.int32, "i8": np.int8, "u8": np.uint8,
    "e4m3": np.uint8, "e8m0": np.uint8,
}  # fmt: skip
I32_LIMIT = 2.0**31


@dataclass(frozen=True)
class View:
    """Four extents and byte strides, innermost first, over a byte array."""

    array: Bytes
    base: int
    dtype: str
    extents: tuple[int, ...]
    strides: tuple[int, ...]
    group: int = 1
    sparse: bool = False
    blocked: bool = False

    def elements(self) -> NDArray[Any]:
        """The stored elements [e3, e2, e1, e0]; writing to them writes to memory, but for blocked rows, which are copied.

        4-bit and sparse rows are bytes [e3, e2, e1, bytes of a row]. Raises InterpreterError out of bounds.
        """
        if self.blocked:
            return self.unblocked()
        if self.dtype in NIBBLES or self.sparse:
            return self.stored(np.dtype(np.uint8), (self.row_bytes, *self.extents[1:]), (1, *self.strides[1:]))
        return self.stored(np.dtype(STORAGE[self.dtype]), self.extents, self.strides)

    def unblocked(self) -> NDArray[Any]:
        """Blocked rows as plain ones; bytes of 4-bit elements as packed in groups of 8."""
        columns, rows, *outer = self.extents
        packed = self.dtype in QUADS
        dtype = np.dtype(np.uint32 if packed else STORAGE[self.dtype])
        words = -(-columns // (NIBBLE_GROUP if self.dtype in NIBBLES else QUAD_BYTES)) if packed else columns
        extents = (BLOCK_ROWS, words, -(-rows // BLOCK_ROWS), *outer)
        strides = (dtype.itemsize, BLOCK_ROWS * dtype.itemsize, *self.strides[1:])
        plain = unblock_rows(self.stored(dtype, extents, strides))[..., :rows, :]
        if not packed:
            return plain
        stored = np.ascontiguousarray(plain).view(np.uint8)
        return stored if self.dtype in NIBBLES else stored[..., :columns].view(STORAGE[self.dtype])

    @property
    def row_bytes(self) -> int:
        """Of packed rows."""
        dense = self.extents[0] // 2 if self.dtype in NIBBLES else self.extents[0]
        return dense // 2 + self.extents[0] // 8 if self.sparse else dense

    def stored(self, dtype: np.dtype[Any], extents: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]:
        """The elements of any extents and strides, innermost first."""
        reach = [(extent - 1) * stride for extent, stride in zip(extents, strides, strict=True)]
        low = self.base + sum(min(0, r) for r in reach)
        high = self.base + sum(max(0, r) for r in reach) + dtype.itemsize
        if low < 0 or high > len(self.array) or min(extents) < 1:
            raise InterpreterError(f"a view of bytes [{low}, {high}) of {len(self.array)}, extents {extents}")
        return np.ndarray(extents[::-1], dtype, self.array, self.base, strides[::-1])

    def integers(self) -> NDArray[np.int8]:
        """The int8 or int4 elements [e3, e2, e1, e0], with the zeros of sparse rows; the codes of e4m3 and e2m1."""
        stored = self.elements()
        if self.sparse:
            values, columns = unpack_sparse(stored, self.extents[0], self.dtype)
            result = np.zeros(self.extents[::-1], np.int8)
            np.put_along_axis(result, columns, values, axis=-1)
            return result
        group = NIBBLE_GROUP if self.blocked else self.group
        return unpack_elements(stored, self.dtype, group)[..., : self.extents[0]]

    def kept(self) -> NDArray[np.intp]:
        """The columns that sparse rows keep, [e3, e2, e1, e0 / 2]."""
        return unpack_sparse(self.elements(), self.extents[0], self.dtype)[1]

    def read(self) -> F32:
        """The elements as f32 (i32 rounded to nearest even)."""
        if self.dtype == "i4" or self.sparse:
            return self.integers().astype(np.float32)
        stored = self.elements()
        if self.dtype == "e8m0":
            return scales_of(stored)
        if self.dtype in ("e4m3", "e2m1"):
            return elements_of(self.integers().view(np.uint8), self.dtype).astype(np.float32)
        return bf16_values(np.ascontiguousarray(stored)) if self.dtype == "bf16" else stored.astype(np.float32)

    def write(self, values: F32) -> None:
        """Rounds f32 values to the element type, as docs/numerics.md section 1 says."""
        stored = self.elements()
        wide = np.broadcast_to(values, self.extents[::-1])
        if self.dtype == "f32":
            stored[...] = np.where(np.isnan(wide), np.float32(np.nan), wide)
        elif self.dtype == "bf16":
            stored[...] = bf16_bits(np.ascontiguousarray(wide))
        elif self.dtype == "i8":
            stored[...] = to_i8(wide)
        elif self.dtype == "i4":
            stored[...] = pack_i4(to_i8(wide, lowest=-8, highest=7), self.group)
        elif self.dtype == "f16":
            stored[...] = f16_stored(wide)
        elif self.dtype == "i32":
            exact = np.nan_to_num(np.rint(wide.astype(np.float64)), nan=0.0)
            stored[...] = np.clip(exact, -I32_LIMIT, I32_LIMIT - 1).astype(np.int32)
        else:
            raise InterpreterError(f"nothing is stored as {self.dtype}")


def copy(target: View, source: View) -> None:
    """Copies bits; both views have the same dtype and extents."""
    if (target.dtype, target.extents) != (source.dtype, source.extents):
        raise InterpreterError(f"copy of {source.dtype} {source.extents} to {target.dtype} {target.extents}")
    target.elements()[...] = source.elements().copy()
