"""Python that numba compiles. The same functions run as plain Python with NUMBA_DISABLE_JIT=1.

All numbers are int64 (fields of a program are narrower, and only index or compare). No recursion, no exceptions, no
allocation: the compiled code returns exit codes, and the arrays it works on belong to the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numba
from numba import types

F = TypeVar("F", bound=Callable[..., Any])
INTERPRETED: bool = cast(Any, numba).config.DISABLE_JIT
"""Nothing is compiled: the functions below are those of Python."""

# Nothing is allocated, so nothing counts references. No fast maths: there is no floating point either.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False}

# ... and nobody calls a part of the loop from Python, which would crash: it has no entry for that.
PART_OPTIONS: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "no_rewrites": True}


def compiled(function: F) -> F:
    """A part of the loop: compiled into it, never on its own."""
    return _part(numba.njit(**PART_OPTIONS)(function), function)


def inlined(function: F) -> F:
    """Like `compiled`, always inlined: small and on the way of every instruction."""
    return _part(numba.njit(forceinline=True, **PART_OPTIONS)(function), function)


def _part(dispatcher: Any, function: F) -> F:
    """Compiled once for all callers: numba would do it again for each constant that is an argument. LLVM inlines and folds."""
    if INTERPRETED:
        return function
    template = dispatcher.get_call_template

    def get_call_template(arguments: Sequence[Any], named: dict[str, Any]) -> Any:
        return template(tuple(types.unliteral(argument) for argument in arguments), named)

    dispatcher.get_call_template = get_call_template
    return cast(F, dispatcher)
