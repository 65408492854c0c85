"""Copies of columns of A and B as f32, in whole quanta: what is missing in the last one, or behind a group shorter than one, is +0.

Columns are numbered with that padding: column j of group g is number g * PADDED_GROUP + j.
"""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, ELEMENT_BITS
from simulator.fast.kernels.conversion import read
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, WORD, Value
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_elements import element_reader, float_at, plain_rows, row_of_block
from simulator.fast.kernels.matrix_float_tile import FLOAT
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P, is_quads
from simulator.fast.kernels.matrix_values import column_reader, has_lines, has_runs, run_at, transposed


def pack_rows(rows: Rows, a: Descriptor, whole_groups: bool, first: Value, end: Value) -> None:
    """Columns first .. end - 1 of the rows of A, one row behind the other; PACKED_TABLE gets the addresses."""
    code, size = rows.code, ELEMENT_BITS[a.dtype] // 8
    packed, row_bytes = rows.place(P.PACKED), (end - first) * 4
    with code.loop(0, rows.padded) as row:
        x, to = code.load(WORD, rows.x_table + row * 8), packed + row.smaller(rows.count - 1) * row_bytes
        code.store(rows.place(P.PACKED_TABLE) + row * 8, to)
        with code.when(row < rows.count):
            if whole_groups and a.strides[0] == size:
                _pack_runs(code, a, x, to, first, end)
            else:
                _each_column(
                    code,
                    whole_groups,
                    first,
                    end,
                    lambda k, x=x: float_at(code, a.dtype, x + k * code.parameter(P.A_TERM)),
                    lambda column, to=to: to + (column - first) * 4,
                )


def _pack_runs(code: Code, a: Descriptor, x: Value, to: Value, first: Value, end: Value) -> None:
    size, terms = ELEMENT_BITS[a.dtype] // 8, code.parameter(P.TERMS)
    whole = first.larger(end.smaller(terms // BLOCK_ROWS * BLOCK_ROWS))
    with code.loop(first, whole, BLOCK_ROWS) as k:
        code.store(to + (k - first) * 4, read(code, a.dtype, x + k * size))
    with code.loop(whole, end, BLOCK_ROWS) as k:
        code.store(to + (k - first) * 4, read(code, a.dtype, x + k * size, terms - k))


def _each_column(
    code: Code,
    whole_groups: bool,
    first: Value,
    end: Value,
    value: Callable[[Value], Value],
    place: Callable[[Value], Value],
) -> None:
    """Stores value(k) or +0 at place(column) for the columns first .. end - 1."""
    group, padded = code.parameter(P.GROUP), code.parameter(P.PADDED_GROUP)
    with code.loop(first, end) as column:
        k, exists = column, column < code.parameter(P.TERMS)
        if not whole_groups:
            within = column % padded
            k, exists = column // padded * group + within, within < group
        code.store(place(column), code.constant(FLOAT, 0.0))
        with code.when(exists):
            code.store(place(column), value(k))


def copy_block(rows: Rows, b: Descriptor, whole_groups: bool, block: Value, first: Value, end: Value) -> Value:
    """Columns first .. end - 1 of 16 rows of B as f32 [k][16]. Gives the address at which column 0 would be."""
    code, to = rows.code, rows.place(P.PANEL)
    if whole_groups and has_lines(b):
        _copy_lines(rows, b, block, first, end)
    elif whole_groups and is_quads(b):
        _copy_quads(rows, b, block, first, end)
    elif whole_groups and has_runs(b):
        _copy_runs(rows, b, block, first, end)
    else:
        element = element_reader(b)
        with code.loop(0, BLOCK_ROWS) as r:
            row = row_of_block(code, rows.b, block, r, (P.B_BLOCK, P.B_ROW))
            _each_column(
                code,
                whole_groups,
                first,
                end,
                lambda k: element(code, row, k),
                lambda column: to + (column - first) * LINE_BYTES + r * 4,
            )
    return to - first * LINE_BYTES


def _copy_lines(rows: Rows, b: Descriptor, block: Value, first: Value, end: Value) -> None:
    """Rows behind the last one are not read: a plain B ends there."""
    code, to = rows.code, rows.place(P.PANEL)
    known = first.larger(end.smaller(code.parameter(P.TERMS)))
    w = rows.b + block * code.parameter(P.B_BLOCK)
    count = None if b.fmt else code.parameter(P.COLUMNS) - block * BLOCK_ROWS
    with code.loop(first, known) as k:
        value = read(code, b.dtype, w + k * code.parameter(P.B_TERM), count)
        code.store(to + (k - first) * LINE_BYTES, value)
    _clear_lines(code, to, first, known, end)


def _clear_lines(code: Code, to: Value, first: Value, known: Value, end: Value) -> None:
    with code.loop(known, end) as k:
        code.store(to + (k - first) * LINE_BYTES, code.constant(F32, 0.0))


def _copy_quads(rows: Rows, b: Descriptor, block: Value, first: Value, end: Value) -> None:
    """Eight columns at a time; K is padded to as many in nibbles, and to four in bytes, of which the last four are done alone."""
    code, to = rows.code, rows.place(P.PANEL)
    terms, reader, step = code.parameter(P.TERMS), column_reader(b), 8 if ELEMENT_BITS[b.dtype] == 4 else 4
    known = first.larger(end.smaller(terms))
    w = rows.b + block * code.parameter(P.B_BLOCK)
    with code.loop(first, known, step) as k:
        for t in range(step):
            code.store(to + (k - first) * LINE_BYTES + t * LINE_BYTES, reader(code, w, k, t))
    _clear_lines(code, to, first, known, end)


def _copy_runs(rows: Rows, b: Descriptor, block: Value, first: Value, end: Value) -> None:
    code, to, terms = rows.code, rows.place(P.PANEL), rows.code.parameter(P.TERMS)
    w = plain_rows(code, rows.b, block)
    whole = first.larger(end.smaller(terms // BLOCK_ROWS * BLOCK_ROWS))
    for start, stop, counts in ((first, whole, False), (whole, end, True)):
        with code.loop(start, stop, BLOCK_ROWS) as k:
            lines = [run_at(code, b, row, k, terms - k if counts else None) for row in w]
            for i, line in enumerate(transposed(lines)):
                code.store(to + (k - first) * LINE_BYTES + i * LINE_BYTES, line)
