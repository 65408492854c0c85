"""Pieces of LLVM code that kernels and the loop share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numba.extending
from llvmlite import ir
from numba.core import cgutils

Function = Callable[..., Any]


def intrinsic(function: Function) -> Function:
    """A function that numba calls with types, and that gives a signature and what writes the LLVM code."""
    return cast(Any, numba.extending).intrinsic(function)


def pointer(builder: Any, address: Any, kind: Any) -> Any:
    """An LLVM pointer to a value at an address."""
    return builder.inttoptr(address, kind.as_pointer())


def call(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    """A function of LLVM."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)
