"""The loops of symmetric rounding, compiled by numba: each is one pass, and lets other threads run meanwhile.

NumPy takes a dozen passes and as many turns of Python's lock, for which the threads of a compile then wait. The machine code is kept
beside this file, or in the user's cache directory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
WITHOUT_SIGN = np.uint32(0x7FFFFFFF)


def _compiled(function: F) -> F:
    """No fast maths: a quotient is rounded as docs/numerics.md says."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return cast(F, numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no directory to keep it in
        return cast(F, numba.njit(**options)(function))


@_compiled
def largest_bits(bits: NDArray[np.uint32], found: NDArray[np.uint32]) -> None:
    """found[i] = the bits of the largest |x| of row i of bits, those of f32 [N, L]. Numbers without sign are ordered as their bits."""
    for row in range(bits.shape[0]):
        largest = np.uint32(0)
        for column in range(bits.shape[1]):
            largest = max(largest, bits[row, column] & WITHOUT_SIGN)
        found[row] = largest


@_compiled
def round_rows(values: NDArray[np.float32], scales: NDArray[np.float32], largest: int, q: NDArray[np.int8]) -> None:
    """q[i, j] = values[i, j] / scales[i], rounded to the nearest (ties to even) and clipped to -largest .. largest."""
    high = np.float32(largest)
    for row in range(values.shape[0]):
        scale = scales[row]
        for column in range(values.shape[1]):
            quotient = np.rint(values[row, column] / scale)
            q[row, column] = np.int8(min(max(quotient, -high), high))
