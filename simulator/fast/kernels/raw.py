"""Numbers at addresses, inside of kernels."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types

from simulator.fast.kernels.vectors import Function, intrinsic, pointer

F = TypeVar("F", bound=Function)


def _loader(llvm: Any, kind: Any, extension: str | None) -> Function:
    def load(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value = builder.load(pointer(builder, arguments[0], llvm), align=1)
            return getattr(builder, extension)(value, ir.IntType(64)) if extension else value

        return kind(types.int64), generate

    return intrinsic(load)


def _storer(llvm: Any, kind: Any, narrows: bool) -> Function:
    def store(typing: Any, address: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            number = builder.trunc(arguments[1], llvm) if narrows else arguments[1]
            builder.store(number, pointer(builder, arguments[0], llvm), align=1)
            return context.get_dummy_value()

        return types.none(types.int64, kind), generate

    return intrinsic(store)


load_i64 = _loader(ir.IntType(64), types.int64, None)
load_f32 = _loader(ir.FloatType(), types.float32, None)
load_u8, load_u16, load_u32 = (_loader(ir.IntType(bits), types.int64, "zext") for bits in (8, 16, 32))
load_i8, load_i32 = (_loader(ir.IntType(bits), types.int64, "sext") for bits in (8, 32))
store_i64 = _storer(ir.IntType(64), types.int64, narrows=False)
store_f32 = _storer(ir.FloatType(), types.float32, narrows=False)
store_u8, store_u16, store_u32 = (_storer(ir.IntType(bits), types.int64, narrows=True) for bits in (8, 16, 32))


def inlined(function: F) -> F:
    """A part of kernels, always inlined."""
    return cast(F, cast(Any, numba).njit(forceinline=True, error_model="numpy", _nrt=False)(function))


@inlined
def argument(address: int, place: int) -> Any:
    """Number `place` of the arguments or parameters at an address."""
    return load_i64(address + 8 * place)
