"""Sixteen weights at once as binary32: of 16 rows of B at one k, or of one row at 16 k. Exact (docs/numerics.md, section 1)."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, PACKED_4BIT, Dtype
from simulator.fast.kernels.conversion import WIDEN_NIBBLES, WIDEN_WEIGHTS, read
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.instructions import call
from simulator.fast.kernels.lanes import F32, I8, I32, Value
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_shape import P, is_quads
from simulator.fast.target import has

_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
NIBBLE_VALUES = {Dtype.I4: [float(code - 8) for code in range(16)], Dtype.E2M1: [*_E2M1, *(-value for value in _E2M1)]}
"""Of the 16 codes."""
ColumnReader = Callable[[Code, Value, Value, int], Value]
"""read(code, w, k, t): 16 rows of the block that begins at w, at column k + t; k is a multiple of 8, t below 32."""


def has_lines(b: Descriptor) -> bool:
    """Whether 16 rows of B lie side by side."""
    size = ELEMENT_BITS[b.dtype] // 8
    return not is_quads(b) and size > 0 and (b.fmt == FMT_BLOCKED or b.strides[1] == size)


def has_runs(b: Descriptor) -> bool:
    """Whether the elements of a plain row of B lie side by side."""
    return b.fmt == 0 and (b.dtype in PACKED_4BIT or b.strides[0] == ELEMENT_BITS[b.dtype] // 8)


def column_reader(b: Descriptor) -> ColumnReader:
    """For B in lines or quads."""
    dtype = b.dtype
    if not is_quads(b):
        return lambda code, w, k, t: read(code, dtype, w + (k + t) * code.parameter(P.B_TERM))
    if dtype in PACKED_4BIT:
        return lambda code, w, k, t: nibble_values(code, dtype, _nibbles(code, w, k, t))
    return lambda code, w, k, t: _quad_bytes(code, dtype, w, k, t)


def nibble_values(code: Code, dtype: Dtype, codes: Value) -> Value:
    """The values of the low 4 bits of 32-bit lanes; what is above them does not matter."""
    if not has("avx512f"):
        return WIDEN_NIBBLES[dtype](codes & 15)
    table = Value(code.builder, ir.Constant(F32.llvm, NIBBLE_VALUES[dtype]), F32)
    name = "llvm.x86.avx512.permvar.sf.512"
    return Value(code.builder, call(code.builder, name, F32.llvm, [table.llvm, codes.llvm]), F32)


def _nibbles(code: Code, w: Value, k: Value, t: int) -> Value:
    line = code.load(I32, w + (k >> 3) * LINE_BYTES + (t >> 3) * LINE_BYTES)
    return line >> (8 * (t & 3) + (t & 4))


def _quad_bytes(code: Code, dtype: Dtype, w: Value, k: Value, t: int) -> Value:
    line = code.load(I32, w + (k >> 2) * LINE_BYTES + (t >> 2) * LINE_BYTES)
    if dtype == Dtype.I8:
        return (line << (24 - 8 * (t & 3))).shifted_signed(24).cast("sitofp", "f32")
    return WIDEN_WEIGHTS[dtype](line >> (8 * (t & 3)) & 255)


def panel_reader(code: Code, w: Value, k: Value, t: int) -> Value:
    """Of a copy of 16 rows as f32 [k][16]."""
    return read(code, Dtype.F32, w + k * LINE_BYTES + t * LINE_BYTES)


def run_at(code: Code, b: Descriptor, row: Value, k: Value, count: Value | None = None) -> Value:
    """Elements k .. k + 15 of a plain row with runs; k is a multiple of 16. With a count only so many, the others +0."""
    if b.dtype not in PACKED_4BIT:
        return read(code, b.dtype, row + k * (ELEMENT_BITS[b.dtype] // 8), count)
    group = code.parameter(P.B_GROUP)
    half, within = group >> 1, k & (group - 1)
    stored = code.load(I8, row + ((k - within) >> 1) + (within & (half - 1))).cast("zext", "i32")
    shift = (within >= half).choose(code.word(4), code.word(0)).cast("trunc", "i32").spread()
    return nibble_values(code, b.dtype, stored >> shift)


def transposed(lines: list[Value]) -> list[Value]:
    """Line i of the result has lane i of each of the 16 lines."""
    half = BLOCK_ROWS // 2
    low = [lane + part for lane in range(half) for part in (0, BLOCK_ROWS)]
    for _ in range(4):  # each turn brings one bit of the number of the line into that of the lane
        pairs = [(lines[i], lines[i + half]) for i in range(half)]
        lines = [a.shuffled([lane + first for lane in low], b) for a, b in pairs for first in (0, half)]
    return lines
