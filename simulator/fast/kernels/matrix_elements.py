"""Single elements of B and of scales, of any dtype and layout (docs/isa.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, PACKED_4BIT, Dtype
from simulator.fast.kernels.conversion import WIDEN_NIBBLES, WIDEN_WEIGHTS
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Kind, Value
from simulator.fast.kernels.matrix_code import BYTE, LINE_BYTES
from simulator.fast.kernels.matrix_shape import P, is_quads

ElementAt = Callable[[Code, Value, Value], Value]
"""Element k of a row that begins at an address, as binary32."""


def float_at(code: Code, dtype: Dtype, address: Value) -> Value:
    """An element that has bytes of its own."""
    stored = code.load(Kind(f"i{ELEMENT_BITS[dtype]}"), address)
    return WIDEN_WEIGHTS[dtype](stored if ELEMENT_BITS[dtype] == 32 else stored.cast("zext", "i32"))


def quad_address(row: Value, k: Value) -> Value:
    """Where element k of a row of quads of bytes lies."""
    return row + (k >> 2) * LINE_BYTES + (k & 3)


def plain_nibble(code: Code, row: Value, k: Value) -> Value:
    """Element k of plain nibbles, as 32 bits: groups of B_GROUP elements, the second half of a group in the high nibbles."""
    group = code.parameter(P.B_GROUP)
    half, within = group >> 1, k & (group - 1)
    stored = code.load(BYTE, row + ((k - within) >> 1) + (within & (half - 1))).cast("zext", "i64")
    return ((stored >> (within >= half).choose(code.word(4), code.word(0))) & 15).cast("trunc", "i32")


def quad_nibble(code: Code, row: Value, k: Value) -> Value:
    """Element k of nibbles in quads: k mod 8 < 4 in the low ones."""
    stored = code.load(BYTE, row + (k >> 3) * LINE_BYTES + (k & 3)).cast("zext", "i64")
    return ((stored >> (k & 4)) & 15).cast("trunc", "i32")


def element_reader(b: Descriptor) -> ElementAt:
    """For rows of B in any dense layout."""
    dtype, nibble = b.dtype, quad_nibble if is_quads(b) else plain_nibble
    if dtype in PACKED_4BIT:
        return lambda code, row, k: WIDEN_NIBBLES[dtype](nibble(code, row, k))
    if is_quads(b):
        return lambda code, row, k: float_at(code, dtype, quad_address(row, k))
    return lambda code, row, k: float_at(code, dtype, row + k * code.parameter(P.B_TERM))


def plain_rows(code: Code, base: Value, block: Value) -> list[Value]:
    """The addresses of the 16 rows of a block of a plain B; the last one instead of those behind it."""
    first, last, step = block * BLOCK_ROWS, code.parameter(P.COLUMNS) - 1, code.parameter(P.B_ROW)
    return [base + (first + r).smaller(last) * step for r in range(BLOCK_ROWS)]


def row_of_block(code: Code, base: Value, block: Value, row: Value, steps: tuple[P, P]) -> Value:
    """The address of a row of a block of B or of scales; the last one instead of those behind it. `steps`: of blocks and rows."""
    n = (block * BLOCK_ROWS + row).smaller(code.parameter(P.COLUMNS) - 1)
    return base + n // BLOCK_ROWS * code.parameter(steps[0]) + n % BLOCK_ROWS * code.parameter(steps[1])
