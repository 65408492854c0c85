"""The loops of symmetric rounding, compiled by numba. They leave Python's lock alone, so threads run them side by side.

NumPy would take a dozen passes and as many turns of the lock, for which the threads of a compile then wait. The machine code is kept
beside this file, or in the user's cache directory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from compiler.formats import Bits
from isa.spec import BLOCK_ROWS

F = TypeVar("F", bound=Callable[..., Any])
WITHOUT_SIGN = np.uint32(0x7FFFFFFF)
NIBBLE_MASK, NIBBLE_BIAS = np.uint32(0x0F0F0F0F), np.uint32(0x08080808)


def _compiled(function: F) -> F:
    """No fast maths: a quotient is rounded as docs/numerics.md says."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no directory to keep it in
        return cast(F, numba.njit(**options)(function))


@_compiled
def find_largest(bits: Bits, shift: int, found: NDArray[np.uint32]) -> None:
    """found[n, g] = the bits of the largest |x| of group g of row n. bits: of f32 [N, groups, columns], or their upper halves (bf16),
    `shift` 16. Numbers without sign are ordered as their bits; infinity and NaN are the largest.
    """
    for row in range(bits.shape[0]):
        for group in range(bits.shape[1]):
            largest = np.uint32(0)
            for column in range(bits.shape[2]):
                largest = max(largest, (np.uint32(bits[row, group, column]) << np.uint32(shift)) & WITHOUT_SIGN)
            found[row, group] = largest


@_compiled
def _round_row(values: NDArray[np.float32], scales: NDArray[np.float32], largest: int, q: NDArray[np.int8]) -> None:
    """q = values / the scale of their group, rounded to the nearest (ties to even) and clipped to -largest .. largest."""
    high = np.float32(largest)
    for group in range(values.shape[0]):
        scale = scales[group]
        for column in range(values.shape[1]):
            quotient = np.rint(values[group, column] / scale)
            q[group, column] = np.int8(min(max(quotient, -high), high))


@_compiled
def round_rows(values: NDArray[np.float32], scales: NDArray[np.float32], largest: int, q: NDArray[np.int8]) -> None:
    """The integers int8 [N, groups, columns] of f32 [N, groups, columns] with scales [N, groups]."""
    for row in range(values.shape[0]):
        _round_row(values[row], scales[row], largest, q[row])


@_compiled
def _widen(bits: Bits, shift: int, wide: NDArray[np.uint32]) -> None:
    for group in range(bits.shape[0]):
        for column in range(bits.shape[1]):
            wide[group, column] = np.uint32(bits[group, column]) << np.uint32(shift)


@_compiled
def _put_bytes(words: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    """Words of 4 bytes of a row, where they lie in its block."""
    for word in range(len(out)):
        out[word] = words[word]


@_compiled
def _put_nibbles(words: NDArray[np.uint32], out: NDArray[np.uint32]) -> None:
    """The same of 8 nibbles: byte i holds the elements i and i + 4."""
    for word in range(len(out)):
        low, high = words[2 * word] & NIBBLE_MASK, words[2 * word + 1] & NIBBLE_MASK
        out[word] = (low ^ NIBBLE_BIAS) | ((high ^ NIBBLE_BIAS) << np.uint32(4))


@_compiled
def pack_rows(bits: Bits, shift: int, scales: NDArray[np.float32], largest: int, out: NDArray[np.uint32]) -> None:
    """Rounds rows [N, groups, columns] and lays them into blocks of 16 rows, out: uint32 [blocks, words]; words hold 4 bytes or, if
    `largest` fits in one, 8 nibbles.
    """
    wide, q = np.empty(bits.shape[1:], np.uint32), np.empty(bits.shape[1:], np.int8)
    values, words = wide.view(np.float32), q.reshape(q.size).view(np.uint32)
    for row in range(bits.shape[0]):
        _widen(bits[row], shift, wide)
        _round_row(values, scales[row], largest, q)
        column = out[row // BLOCK_ROWS, row % BLOCK_ROWS :: BLOCK_ROWS]
        if largest < 8:
            _put_nibbles(words, column)
        else:
            _put_bytes(words, column)
