"""Loads and stores at addresses. Whoever calls them has checked the address."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from simulator.fast.compiled import INTERPRETED

Load = Callable[[int], int]
Store = Callable[[int, int], None]
_WORD = ir.IntType(64)
_CTYPES = {8: ctypes.c_uint8, 16: ctypes.c_uint16, 32: ctypes.c_uint32, 64: ctypes.c_int64}


def _load(bits: int) -> Load:
    """The unsigned number of `bits` at an address (64 bits: signed)."""
    kind = _CTYPES[bits]
    if INTERPRETED:
        return lambda address: kind.from_address(int(address)).value

    def load(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            value = builder.load(pointer, align=1)
            return builder.zext(value, _WORD) if bits < 64 else value

        return types.int64(types.int64), generate

    return cast(Load, intrinsic(load))


def _store(bits: int) -> Store:
    """Stores the low bits of a number at an address."""
    kind = _CTYPES[bits]
    if INTERPRETED:

        def store_directly(address: int, value: int) -> None:
            kind.from_address(int(address)).value = int(value)

        return store_directly

    def store(typing: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer())
            value = arguments[1]
            builder.store(builder.trunc(value, ir.IntType(bits)) if bits < 64 else value, pointer, align=1)
            return context.get_dummy_value()

        return types.none(types.int64, types.int64), generate

    return cast(Store, intrinsic(store))


load_8, load_16, load_32, load_64 = (_load(bits) for bits in (8, 16, 32, 64))
store_8, store_16, store_32, store_64 = (_store(bits) for bits in (8, 16, 32, 64))
