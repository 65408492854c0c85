"""What the loop and its workers do at addresses: words that threads share, calls of code, waiting."""

from __future__ import annotations

import time
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from simulator.fast.kernels.instructions import Function, intrinsic, pointer
from simulator.fast.kernels.instructions import call as _call
from simulator.fast.target import has


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


@intrinsic
def exchange(typing: Any, address: Any, expected: Any, value: Any) -> Any:
    """Stores an int64 for all threads if the one there is as expected; whether it was."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(builder, arguments[0], ir.IntType(64))
        found = builder.cmpxchg(place, arguments[1], arguments[2], "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(types.int64, types.int64, types.int64), generate


@intrinsic
def add_release(typing: Any, address: Any, value: Any) -> Any:
    """Adds to an int64 that other threads add to as well, after everything before it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.atomic_rmw("add", pointer(builder, arguments[0], ir.IntType(64)), arguments[1], "release")
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
def nanoseconds(typing: Any) -> Any:
    """Of a clock of the system that only runs forward."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        parts = cgutils.alloca_once(builder, ir.ArrayType(word, 2))  # seconds, nanoseconds
        _call(builder, "clock_gettime", ir.IntType(32), [ir.IntType(32)(time.CLOCK_MONOTONIC), parts])
        seconds, rest = (builder.load(cgutils.gep_inbounds(builder, parts, 0, place)) for place in (0, 1))
        return builder.add(builder.mul(seconds, word(1_000_000_000)), rest)

    return types.int64(), generate


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
