"""16 rows of an integer B, in any layout, as quads of int8: what tiles of integer products read."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, PACKED_4BIT, Dtype
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Value
from simulator.fast.kernels.matrix_code import BYTE, BYTES, LINE_BYTES, QUAD
from simulator.fast.kernels.matrix_elements import plain_nibble, quad_address, row_of_block
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P, is_quads

QUAD_BYTES = 4
_NIBBLE_BIAS = 8


def has_words(b: Descriptor, is_grouped: bool) -> bool:
    """Whether quads of a plain row are quads of its copy."""
    return b.dtype == Dtype.I8 and not is_quads(b) and b.strides[0] == 1 and not is_grouped


def quads_name(b: Descriptor, is_grouped: bool) -> str:
    """What of a B that is copied the code depends on."""
    return "words" if has_words(b, is_grouped) else "quads" if is_quads(b) else "plain"


def copy_quads(rows: Rows, b: Descriptor, is_grouped: bool, block: Value, to: Value) -> None:
    """16 rows of B to quads of int8, groups padded to whole quads: what is there does not matter, A has zeros."""
    code = rows.code
    group, padded, terms = code.parameter(P.GROUP), code.parameter(P.PADDED_GROUP), code.parameter(P.TERMS)
    with code.loop(0, BLOCK_ROWS) as r:
        source = row_of_block(code, rows.b, block, r, (P.B_BLOCK, P.B_ROW))
        target, done = to + r * QUAD_BYTES, code.word(0)
        if has_words(b, is_grouped):
            done = terms // QUAD_BYTES * QUAD_BYTES
            with code.loop(0, terms // QUAD_BYTES) as quad:
                code.store(target + quad * LINE_BYTES, code.load(QUAD, source + quad * QUAD_BYTES))
        with code.loop(done, terms) as k:
            place = k // group * padded + k % group
            code.store(quad_address(target, place), _integer(code, b, source, k))


def _integer(code: Code, b: Descriptor, row: Value, k: Value) -> Value:
    """Element k of a row of B, as a byte."""
    if b.dtype in PACKED_4BIT:
        return (plain_nibble(code, row, k) - _NIBBLE_BIAS).cast("trunc", "i8")
    return code.load(BYTE, quad_address(row, k) if is_quads(b) else row + k * code.parameter(P.B_TERM))


def unpack_quads(code: Code, source: Value, to: Value, terms: Value) -> None:
    """A block of nibbles in quads, with a multiple of 8 terms, to quads of int8."""
    with code.loop(0, terms >> 3) as line:
        stored = code.load(BYTES, source + line * LINE_BYTES)
        code.store(to + line * (2 * LINE_BYTES), (stored & 15) - _NIBBLE_BIAS)
        code.store(to + line * (2 * LINE_BYTES) + LINE_BYTES, (stored >> 4) - _NIBBLE_BIAS)
