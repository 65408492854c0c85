"""Numbers at addresses, inside of kernels."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba import types

from simulator.fast.kernels.vectors import Function, intrinsic, pointer
from simulator.fast.kernels.vectors import call as _call
from simulator.fast.target import has

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


# ---- threads


@intrinsic
def load_acquire(typing: Any, address: Any) -> Any:
    """An int64 that another thread stores; what it stored before is seen too."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load_atomic(pointer(builder, arguments[0], ir.IntType(64)), "acquire", 8)

    return types.int64(types.int64), generate


@intrinsic
def store_release(typing: Any, address: Any, value: Any) -> Any:
    """Stores an int64 for another thread, after everything before it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], pointer(builder, arguments[0], ir.IntType(64)), "release", 8)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64), generate


def _of_the_system(name: str, *numbers: int) -> Function:
    """Calls a function of the C library with known numbers."""

    def invoke(typing: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _call(builder, name, ir.IntType(32), [ir.IntType(32)(number) for number in numbers])
            return context.get_dummy_value()

        return types.none(), generate

    return intrinsic(invoke)


yield_core, sleep_briefly = _of_the_system("sched_yield"), _of_the_system("usleep", 50)


@intrinsic
def pause(typing: Any) -> Any:
    """Tells the processor that a loop waits for another one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if has("sse2"):
            _call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        return context.get_dummy_value()

    return types.none(), generate


@intrinsic
def call(typing: Any, address: Any, first: Any, second: Any) -> Any:
    """Calls the code at an address with two numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        kind = ir.FunctionType(word, [word, word])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])

    return types.int64(types.int64, types.int64, types.int64), generate
