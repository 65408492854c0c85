"""Vectors of 16 lanes in kernels that are written as LLVM code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from simulator.fast.kernels.matrix_emit import BYTE, WORD, Code, Number, Variable
from simulator.fast.kernels.vectors import BYTES, F32, I32, call, constant, pointer
from simulator.fast.target import has

PREFETCH_BYTES = 4096
"""How far ahead weights are asked for that are used once."""
LINE_BYTES = 64
"""16 numbers of 32 bits."""


def spread(c: Code, value: Any, kind: Any) -> Any:
    """A value in every lane of a vector type."""
    undefined = ir.Constant(kind, ir.Undefined)
    one = c.b.insert_element(undefined, value, WORD(0))
    return c.b.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(WORD, kind.count), [0] * kind.count))


def zeros(c: Code, kind: Any, count: int) -> list[Variable]:
    """Variables that become registers."""
    made = [Variable(c, kind) for _ in range(count)]
    clear(made, kind)
    return made


def clear(variables: list[Variable], kind: Any) -> None:
    for variable in variables:
        variable.value = ir.Constant(kind, None)


def prefetch(c: Code, address: Number) -> None:
    place = pointer(c.b, (address + PREFETCH_BYTES).value, BYTE)
    call(c.b, "llvm.prefetch.p0", ir.VoidType(), [place, WORD(0), WORD(3), WORD(1)])


def addresses(c: Code, table: Number, count: int, offset: Number | int) -> list[Number]:
    """`count` addresses from a table, each moved by an offset."""
    return [c.load_number(table + 8 * i) + offset for i in range(count)]


def canonical(c: Code, value: Any) -> Any:
    """The vector with every NaN canonical."""
    nan = c.b.bitcast(constant(I32, 0x7FC00000), F32.llvm)
    return c.b.select(c.b.fcmp_unordered("uno", value, value), nan, value)


def shuffled(c: Code, a: Any, b: Any, places: list[int]) -> Any:
    """Lane i is lane places[i] of a and b one behind the other."""
    return c.b.shuffle_vector(a, b, ir.Constant(ir.VectorType(WORD, len(places)), places))


def load_first(c: Code, address: Number, count: Number, element: Any, lanes: int, suffix: str) -> Any:
    """The first `count` lanes, the others 0; nothing behind them is read. `suffix`: the type as in i8."""
    kind = ir.VectorType(element, lanes)
    indices = ir.VectorType(WORD, lanes)
    limit = c.b.trunc(c.least(count, lanes).value, WORD)
    mask = c.b.icmp_signed("<", ir.Constant(indices, list(range(lanes))), spread(c, limit, indices))
    place = pointer(c.b, address.value, kind)
    return call(c.b, f"llvm.masked.load.v{lanes}{suffix}.p0", kind, [place, WORD(1), mask, ir.Constant(kind, None)])


def added_lanes(c: Code, value: Any) -> Any:
    """The sum of the lanes of a vector of integers."""
    kind = value.type
    return call(c.b, f"llvm.vector.reduce.add.v{kind.count}i{kind.element.width}", kind.element, [value])


def dot_quads(c: Code, total: Any, unsigned: Any, signed: Any) -> Any:
    """total + u0 s0 + u1 s1 + u2 s2 + u3 s3 in each of 16 lanes of int32, of four unsigned and four signed bytes; exact."""
    b = c.b
    if has("avx512vnni") and has("avx512f"):
        operands = [total, b.bitcast(unsigned, BYTES.llvm), b.bitcast(signed, BYTES.llvm)]
        return call(b, "llvm.x86.avx512.vpdpbusd.512", I32.llvm, operands)
    pairs = ir.VectorType(ir.IntType(16), 32)
    unsigned, signed = b.bitcast(unsigned, pairs), b.bitcast(signed, pairs)
    eight, low = ir.Constant(pairs, [8] * 32), ir.Constant(pairs, [255] * 32)
    even = b.and_(unsigned, low), b.ashr(b.shl(signed, eight), eight)
    odd = b.lshr(unsigned, eight), b.ashr(signed, eight)
    return b.add(total, b.add(_dot_pairs(c, *even), _dot_pairs(c, *odd)))


def _dot_pairs(c: Code, x: Any, y: Any) -> Any:
    """x0 y0 + x1 y1 of pairs of int16, which LLVM knows as one instruction (pmaddwd)."""
    wide = ir.VectorType(WORD, 32)
    products = c.b.mul(c.b.sext(x, wide), c.b.sext(y, wide))
    even, odd = (shuffled(c, products, products, list(range(first, 32, 2))) for first in (0, 1))
    return c.b.add(even, odd)
