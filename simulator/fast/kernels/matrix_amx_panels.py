"""Copies of rows of A and of the last terms of B that fill tile registers: zeros are where A has no terms."""

from __future__ import annotations

from isa.spec import BLOCK_ROWS
from simulator.fast.kernels.amx import ROW_BYTES, TILE_BYTES, TILE_ROWS
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import WORD, Value
from simulator.fast.kernels.matrix_code import BYTE, BYTES, LINE_BYTES
from simulator.fast.kernels.matrix_quads import QUAD_BYTES
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P


def row_bytes_of(code: Code) -> Value:
    """Of a copy of a row of A, and quarter of a quad of those of B."""
    return code.parameter(P.GROUPS) * code.parameter(P.PADDED_GROUP)


def pack_rows(rows: Rows, strided: bool) -> None:
    """Copies the rows of A, padded with zeros to whole tile registers; the table gets the addresses of the copies."""
    code = rows.code
    terms, step, packed = code.parameter(P.TERMS), code.parameter(P.A_TERM), rows.place(P.PACKED)
    row_bytes = row_bytes_of(code)
    whole = code.word(0) if strided else terms // LINE_BYTES * LINE_BYTES
    with code.loop(0, rows.count) as row:
        x, to = code.load(WORD, rows.x_table + row * 8), packed + row * row_bytes
        code.store(rows.x_table + row * 8, to)
        if strided:
            with code.loop(0, terms) as k:
                code.store(to + k, code.load(BYTE, x + k * step))
            with code.loop(terms, row_bytes) as k:
                code.store(to + k, code.constant(BYTE, 0))
        else:
            with code.loop(0, whole, LINE_BYTES) as k:
                code.store(to + k, code.load(BYTES, x + k))
            with code.when(whole < terms):
                code.store(to + whole, code.load_first(BYTES, x + whole, terms - whole))


def copy_tail(rows: Rows, w: Value, blocks: int) -> Value:
    """The last terms of some blocks where they do not fill tile registers: copied, with zeros behind them. 0 if they fill them."""
    code, to, terms = rows.code, rows.place(P.PANEL), rows.code.parameter(P.TERMS)
    whole = terms // ROW_BYTES * ROW_BYTES
    quads = (terms - whole + (QUAD_BYTES - 1)) // QUAD_BYTES
    with code.when(whole < terms):
        for block in range(blocks):
            source = w + code.parameter(P.B_BLOCK) * block + whole * BLOCK_ROWS
            with code.loop(0, quads) as quad:
                code.store(to + quad * LINE_BYTES + TILE_BYTES * block, code.load(BYTES, source + quad * LINE_BYTES))
            with code.loop(quads, TILE_ROWS) as quad:
                code.store(to + quad * LINE_BYTES + TILE_BYTES * block, code.constant(BYTES, 0))
    return (whole < terms).choose(to, code.word(0))
