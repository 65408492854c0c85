"""Python that numba compiles. The same functions run as plain Python with NUMBA_DISABLE_JIT=1.

All numbers are int64 (fields of a program are narrower, and only index or compare). No recursion, no exceptions, no
allocation: the compiled code returns exit codes, and the arrays it works on belong to the host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])
INTERPRETED: bool = cast(Any, numba).config.DISABLE_JIT
"""Nothing is compiled: the functions below are those of Python."""

# Nothing is allocated, so nothing counts references. No fast maths: there is no floating point either.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False}


# ... and nobody calls a part of the loop from Python.
PART_OPTIONS: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "no_rewrites": True}


def compiled(function: F) -> F:
    """A part of the loop: compiled into it, never on its own."""
    return cast(F, numba.njit(**PART_OPTIONS)(function))


def inlined(function: F) -> F:
    """Like `compiled`, always inlined: small and on the way of every instruction."""
    return cast(F, numba.njit(forceinline=True, **PART_OPTIONS)(function))
