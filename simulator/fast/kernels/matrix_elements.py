"""Single elements of any dtype and layout to binary32 (docs/numerics.md, section 1), by instructions that every processor has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, PACKED_4BIT, Dtype
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_emit import BYTE, FLOAT, HALFWORD, WORD, Code, Number
from simulator.fast.kernels.matrix_shape import P, is_quads

ElementAt = Callable[[Code, Number, Number], Any]
"""The element number k of a row that begins at an address, as binary32."""
NAN = 0x7FC00000


def _of_bits(c: Code, bits: Any) -> Any:
    return c.b.bitcast(bits, FLOAT)


def _signed(c: Code, sign: Any, magnitude: Any) -> Any:
    """The binary32 number with the sign bit of `sign`, a word, and the bits of a magnitude."""
    return _of_bits(c, c.b.or_(c.b.and_(sign, WORD(0x80000000)), magnitude))


def _small(c: Code, magnitude: Any, exponent: int) -> Any:
    """Bits of the whole number `magnitude` times 2^exponent, exact."""
    scaled = c.b.fmul(c.b.uitofp(magnitude, FLOAT), ir.Constant(FLOAT, 2.0**exponent))
    return c.b.bitcast(scaled, WORD)


def _f32(c: Code, address: Number) -> Any:
    return c.load(address, FLOAT)


def _bf16(c: Code, address: Number) -> Any:
    return _of_bits(c, c.b.shl(c.b.zext(c.load(address, HALFWORD), WORD), WORD(16)))


def _f16(c: Code, address: Number) -> Any:
    b, stored = c.b, c.b.zext(c.load(address, HALFWORD), WORD)
    magnitude = b.and_(stored, WORD(0x7FFF))
    shifted = b.shl(magnitude, WORD(13))
    normal = b.add(shifted, WORD(112 << 23))
    not_finite = b.or_(shifted, WORD(0x7F800000))
    bits = b.select(b.icmp_unsigned(">=", magnitude, WORD(0x7C00)), not_finite, normal)
    bits = b.select(b.icmp_unsigned("<", magnitude, WORD(0x400)), _small(c, magnitude, -24), bits)
    return _signed(c, b.shl(stored, WORD(16)), bits)


def _i8(c: Code, address: Number) -> Any:
    return c.b.sitofp(c.load(address, BYTE), FLOAT)


def _e8m0(c: Code, address: Number) -> Any:
    b, exponent = c.b, c.b.zext(c.load(address, BYTE), WORD)
    bits = b.select(b.icmp_unsigned("==", exponent, WORD(0)), WORD(1 << 22), b.shl(exponent, WORD(23)))
    return _of_bits(c, b.select(b.icmp_unsigned("==", exponent, WORD(255)), WORD(NAN), bits))


def _e4m3(c: Code, address: Number) -> Any:
    b, stored = c.b, c.b.zext(c.load(address, BYTE), WORD)
    magnitude = b.and_(stored, WORD(0x7F))
    normal = b.add(b.shl(magnitude, WORD(20)), WORD(120 << 23))
    bits = b.select(b.icmp_unsigned("<", magnitude, WORD(8)), _small(c, magnitude, -9), normal)
    bits = b.select(b.icmp_unsigned("==", magnitude, WORD(0x7F)), WORD(NAN), bits)
    return _signed(c, b.shl(stored, WORD(24)), bits)


def _i4(c: Code, nibble: Any) -> Any:
    return c.b.sitofp(c.b.sub(nibble, WORD(8)), FLOAT)


def _e2m1(c: Code, nibble: Any) -> Any:
    b, magnitude = c.b, c.b.and_(nibble, WORD(7))
    normal = b.add(b.shl(magnitude, WORD(22)), WORD(126 << 23))
    bits = b.select(b.icmp_unsigned("<", magnitude, WORD(2)), b.mul(magnitude, WORD(126 << 23)), normal)
    return _signed(c, b.shl(nibble, WORD(28)), bits)


FLOAT_AT: dict[Dtype, Callable[[Code, Number], Any]] = {
    Dtype.F32: _f32, Dtype.F16: _f16, Dtype.BF16: _bf16, Dtype.I8: _i8, Dtype.E8M0: _e8m0, Dtype.E4M3: _e4m3,
}  # fmt: skip
_FLOAT_OF_NIBBLE: dict[Dtype, Callable[[Code, Any], Any]] = {Dtype.I4: _i4, Dtype.E2M1: _e2m1}


def quad_address(row: Number, k: Number) -> Number:
    """Where element k of a row of quads of bytes lies."""
    return row + (k >> 2) * LINE_BYTES + (k & 3)


def plain_nibble(c: Code, row: Number, k: Number) -> Number:
    """Element k of plain nibbles: groups of `group` elements, the second half of a group in the high nibbles."""
    group = c.parameter(P.B_GROUP)
    half, within = group >> 1, k & (group - 1)
    stored = c.unsigned(row + ((k - within) >> 1) + (within & (half - 1)), BYTE)
    return (stored >> c.choose(within >= half, 4, 0)) & 15


def quad_nibble(c: Code, row: Number, k: Number) -> Number:
    """Element k of nibbles in quads: k mod 8 < 4 in the low ones."""
    stored = c.unsigned(row + (k >> 3) * LINE_BYTES + (k & 3), BYTE)
    return (stored >> (k & 4)) & 15


def element_reader(b: Descriptor) -> ElementAt:
    """For rows of B in any dense layout."""
    if b.dtype in PACKED_4BIT:
        convert = _FLOAT_OF_NIBBLE[b.dtype]
        if is_quads(b):
            return lambda c, row, k: convert(c, c.narrow(quad_nibble(c, row, k), WORD))
        return lambda c, row, k: convert(c, c.narrow(plain_nibble(c, row, k), WORD))
    at = FLOAT_AT[b.dtype]
    if is_quads(b):
        return lambda c, row, k: at(c, quad_address(row, k))
    return lambda c, row, k: at(c, row + k * c.parameter(P.B_TERM))


def row_of_block(c: Code, base: Number, block: Number, row: Number, steps: tuple[P, P]) -> Number:
    """The address of a row of a block of B or of scales; the last one instead of those behind it. `steps`: of blocks and rows."""
    last = c.parameter(P.COLUMNS) - 1
    n = c.least(block * BLOCK_ROWS + row, last)
    return base + n // BLOCK_ROWS * c.parameter(steps[0]) + n % BLOCK_ROWS * c.parameter(steps[1])
