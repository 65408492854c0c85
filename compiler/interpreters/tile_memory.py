"""Memory of the tile interpreter: DRAM regions, SRAM and SMEM as bytes, and typed views of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slmq_functions import bf16_bits, bf16_values, to_i8

Bytes = NDArray[np.uint8]
F32 = NDArray[np.float32]
STORAGE: dict[str, type[np.generic]] = {
    "f32": np.float32, "f16": np.float16, "bf16": np.uint16, "i32": np.int32, "i8": np.int8, "u8": np.uint8,
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

    def elements(self) -> NDArray[Any]:
        """The stored elements [e3, e2, e1, e0]; writing to them writes to memory. Raises InterpreterError out of bounds."""
        dtype = np.dtype(STORAGE[self.dtype])
        reach = [(extent - 1) * stride for extent, stride in zip(self.extents, self.strides, strict=True)]
        low = self.base + sum(min(0, r) for r in reach)
        high = self.base + sum(max(0, r) for r in reach) + dtype.itemsize
        if low < 0 or high > len(self.array) or min(self.extents) < 1:
            raise InterpreterError(f"a view of bytes [{low}, {high}) of {len(self.array)}, extents {self.extents}")
        return np.ndarray(self.extents[::-1], dtype, self.array, self.base, self.strides[::-1])

    def read(self) -> F32:
        """The elements as f32 (i32 rounded to nearest even)."""
        stored = self.elements()
        return bf16_values(np.ascontiguousarray(stored)) if self.dtype == "bf16" else stored.astype(np.float32)

    def write(self, values: F32) -> None:
        """Rounds f32 values to the element type, as docs/numerics.md section 1 says."""
        stored = self.elements()
        wide = np.broadcast_to(values, stored.shape)
        if self.dtype == "f32":
            stored[...] = np.where(np.isnan(wide), np.float32(np.nan), wide)
        elif self.dtype == "bf16":
            stored[...] = bf16_bits(np.ascontiguousarray(wide))
        elif self.dtype == "i8":
            stored[...] = to_i8(wide)
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
