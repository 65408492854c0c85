"""What the kernels of matrix products have in common: lines of 64 bytes, tables of addresses, products of bytes."""

from __future__ import annotations

from llvmlite import ir

from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.instructions import call
from simulator.fast.kernels.lanes import I32, WORD, Kind, Value, Variable
from simulator.fast.target import has

PREFETCH_BYTES = 2048
"""How far ahead weights are asked for that are used once."""
SECOND_CACHE = 2
"""Where they are put: the first cache has room for 16 requests at a time, the second for 48, and memory answers after 0.2 microseconds."""
LINE_BYTES = 64
"""Quads of 16 rows, or 16 numbers of 32 bits."""
BYTE, QUAD, BYTES = Kind("i8"), Kind("i32"), Kind("i8", LINE_BYTES)
_PAIRS = Kind("i16", 2 * I32.lanes)


def zeros(code: Code, kind: Kind, count: int) -> list[Variable]:
    return [code.variable(code.constant(kind, 0)) for _ in range(count)]


def clear(code: Code, variables: list[Variable], kind: Kind) -> None:
    for variable in variables:
        variable.set(code.constant(kind, 0))


def prefetch(code: Code, address: Value, locality: int = 3) -> None:
    """Asks for the line of an address; any is allowed. `locality`: 3 for the nearest cache, 2 for the next."""
    place = code.builder.inttoptr(address.llvm, ir.IntType(8).as_pointer())
    for_reading_data = [ir.IntType(32)(number) for number in (0, locality, 1)]
    call(code.builder, "llvm.prefetch.p0", ir.VoidType(), [place, *for_reading_data])


def addresses(code: Code, table: Value, count: int, offset: Value | int = 0) -> list[Value]:
    """`count` addresses from a table, each moved by an offset."""
    return [code.load(WORD, table + 8 * i) + offset for i in range(count)]


def added_lanes(total: Value) -> Value:
    """The sum of the lanes of integers."""
    return total.folded(lambda a, b: a + b)


def dot_quads(code: Code, total: Value, unsigned: Value, signed: Value) -> Value:
    """total + u0 s0 + u1 s1 + u2 s2 + u3 s3 in each of 16 lanes of int32, of four unsigned and four signed bytes; exact."""
    if has("avx512vnni") and has("avx512f"):
        operands = [total.llvm, *(code.builder.bitcast(v.llvm, BYTES.llvm) for v in (unsigned, signed))]
        return Value(code.builder, call(code.builder, "llvm.x86.avx512.vpdpbusd.512", I32.llvm, operands), I32)
    u, s = (Value(code.builder, code.builder.bitcast(v.llvm, _PAIRS.llvm), _PAIRS) for v in (unsigned, signed))
    even = _dot_pairs(u & 255, (s << 8).shifted_signed(8))
    return total + (even + _dot_pairs(u >> 8, s.shifted_signed(8)))


def _dot_pairs(x: Value, y: Value) -> Value:
    """x0 y0 + x1 y1 of pairs of int16, which LLVM knows as one instruction (pmaddwd)."""
    products = x.cast("sext", "i32") * y.cast("sext", "i32")
    even, odd = (products.shuffled(range(first, _PAIRS.lanes, 2)) for first in (0, 1))
    return even + odd
