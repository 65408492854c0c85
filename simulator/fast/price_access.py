"""Ports and banks of the scratchpad: the rules of simulator/timing/sram.py and weights.py on arrays."""

from __future__ import annotations

import numpy as np

from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, FMT_SPARSE, PACKED_4BIT, QUADS, Dtype
from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import dtype_of, extent_of, stride_of
from simulator.fast.layout import Block, Ints, Td
from simulator.fast.price_layout import Number, Shape
from simulator.timing.sram import MAX_WALKED
from simulator.timing.weights import POSITIONS_PER_BYTE

BITS: Ints = np.array([ELEMENT_BITS[dtype] for dtype in Dtype])
IS_PACKED: Ints = np.array([int(dtype in PACKED_4BIT) for dtype in Dtype])
QUAD: Ints = np.array([(8 if dtype in PACKED_4BIT else 4) if dtype in QUADS else 0 for dtype in Dtype])


@inlined
def ceil_div(numerator: int, denominator: int) -> int:
    return (numerator + denominator - 1) // denominator


@compiled
def describe(s: Block, number: int, td: int) -> None:
    """Writes the shape of a descriptor register to a row of `shapes`."""
    kind, shape = s.tds[td, Td.KIND], s.shapes[number]
    dtype = dtype_of(kind)
    shape[Shape.REGION], shape[Shape.BITS], shape[Shape.PACKED] = kind & 15, BITS[dtype], IS_PACKED[dtype]
    shape[Shape.GROUP], shape[Shape.FORMAT], shape[Shape.QUAD] = 1 << (kind >> 8 & 15), kind >> 12, QUAD[dtype]
    for dimension in range(4):
        shape[Shape.E0 + dimension] = extent_of(s.tds, td, dimension)
        shape[Shape.S0 + dimension] = stride_of(s.tds, td, dimension)


@inlined
def elements_of(d: Ints) -> int:
    return d[Shape.E0] * d[Shape.E1] * d[Shape.E2] * d[Shape.E3]


@compiled
def runs_of(d: Ints) -> tuple[int, int, int, int, int]:
    """(count, bytes, stride, rows, pitch) of an operand, as Runs."""
    size, elements = d[Shape.BITS] >> 3, elements_of(d)
    if d[Shape.PACKED] == 0 and d[Shape.E0] > 1 and d[Shape.S0] != size:
        if d[Shape.S0] == 0:
            return elements // d[Shape.E0], size, 0, 1, 0
        pitch = 0
        for dimension in range(3, 0, -1):
            pitch = d[Shape.S0 + dimension] if d[Shape.E0 + dimension] > 1 else pitch
        return elements, size, abs(d[Shape.S0]), elements // d[Shape.E0], pitch
    count, run_bytes = 1, d[Shape.E0] * d[Shape.BITS] >> 3
    for dimension in range(1, 4):
        extent = d[Shape.E0 + dimension]
        if extent != 1:
            if count == 1 and d[Shape.S0 + dimension] == run_bytes:
                run_bytes *= extent
            else:
                count *= extent
    return count, run_bytes, 0, 1, 0


@compiled
def access(s: Block, count: int, run_bytes: int, stride: int, rows: int, pitch: int, port: int) -> tuple[int, int]:
    """(beats, bank accesses) of runs, or of single elements in rows if they have a stride."""
    if stride != 0:
        beats, accesses, width = 0, 0, s.machine[Number.BANK_BYTES]
        places = 1
        while places * pitch % width != 0:  # of rows in a bank, one after the other
            places += 1
        for place in range(min(rows, places)):
            row_beats, row_accesses = gathered(
                s, count // rows, max(1, port // run_bytes), stride, place * pitch % width
            )
            times = ceil_div(rows - place, places)
            beats, accesses = beats + times * row_beats, accesses + times * row_accesses
        return beats, accesses
    return count * ceil_div(run_bytes, port), count * ceil_div(run_bytes, s.machine[Number.BANK_BYTES])


@compiled
def gathered(s: Block, elements: int, port_elements: int, stride: int, start: int) -> tuple[int, int]:
    """A row of single elements, the first one `start` bytes behind the border of a bank. Of each bank `bank_words` has the last
    access of the row and its beat: one for each in a beat.
    """
    banks, width, last = s.machine[Number.BANKS], s.machine[Number.BANK_BYTES], s.bank_words
    for bank in range(banks):
        last[bank, 1] = 0
    walked = min(elements, MAX_WALKED)
    beats, accesses, taken = 1, 0, 0
    for number in range(walked):
        word = (start + number * stride) // width
        bank = word & banks - 1
        conflicts = last[bank, 1] == beats and last[bank, 0] != word
        if taken == port_elements or conflicts:
            beats, taken = beats + 1, 0
        if last[bank, 1] != beats:
            accesses += 1
        last[bank, 0], last[bank, 1] = word, beats
        taken += 1
    return ceil_div(beats * elements, walked), ceil_div(accesses * elements, walked)


@compiled
def weight_access(s: Block, has_scales: bool, n: int, k: int) -> tuple[int, int]:
    """(beats, bank accesses) to load the n x k weights of a pass, operand 2, and their scales, operand 3."""
    b = s.shapes[2]
    is_sparse = b[Shape.FORMAT] & FMT_SPARSE != 0
    beats, banks = sparse_access(s, n, k) if is_sparse else rows_access(s, 2, n, k)
    if has_scales:
        logical_k = 2 * k if is_sparse else k
        more_beats, more_banks = rows_access(s, 3, n, ceil_div(logical_k, b[Shape.GROUP]))
        beats, banks = beats + more_beats, banks + more_banks
    return beats, banks


@compiled
def rows_access(s: Block, number: int, n: int, k: int) -> tuple[int, int]:
    """n rows of k elements, loaded along k or along n, whichever is dense."""
    d, port = s.shapes[number], s.machine[Number.B_PORT]
    size, s0, s1 = d[Shape.BITS] >> 3, d[Shape.S0], d[Shape.S1]
    if d[Shape.FORMAT] & FMT_BLOCKED:
        return access(s, 1, ceil_div(n, BLOCK_ROWS) * block_bytes(d, k), 0, 1, 0, port)
    if d[Shape.PACKED] != 0:
        return adjacent_access(s, n, nibble_bytes(k, d[Shape.GROUP]), s1)
    if s0 == size or s0 == 0 or k == 1:
        return adjacent_access(s, n, size if s0 == 0 else k * size, s1)
    if s1 == size:
        return adjacent_access(s, k, n * size, s0)
    return access(s, n * k, size, abs(s0), n, s1, port)


@inlined
def nibble_bytes(k: int, group: int) -> int:
    return k // group * (group // 2) + min(k % group, group // 2)


@inlined
def block_bytes(d: Ints, k: int) -> int:
    """Of a block of 16 rows of k elements, padded to quads."""
    if d[Shape.QUAD] != 0:
        return ceil_div(k, d[Shape.QUAD]) * 4 * BLOCK_ROWS
    return (k * d[Shape.BITS] >> 3) * BLOCK_ROWS


@compiled
def adjacent_access(s: Block, rows: int, row_bytes: int, pitch: int) -> tuple[int, int]:
    """Rows that are one run if they follow each other."""
    port = s.machine[Number.B_PORT]
    if pitch == row_bytes:
        return access(s, 1, rows * row_bytes, 0, 1, 0, port)
    return access(s, rows, row_bytes, 0, 1, 0, port)


@compiled
def sparse_access(s: Block, n: int, k: int) -> tuple[int, int]:
    """A row is its values, then their positions: one run if the pass takes all of it, otherwise two."""
    b, port = s.shapes[2], s.machine[Number.B_PORT]
    value_bytes, position_bytes = k * b[Shape.BITS] >> 3, ceil_div(k, POSITIONS_PER_BYTE)
    if 2 * k == b[Shape.E0]:
        return adjacent_access(s, n, value_bytes + position_bytes, b[Shape.S1])
    beats, banks = access(s, n, value_bytes, 0, 1, 0, port)
    more_beats, more_banks = access(s, n, position_bytes, 0, 1, 0, port)
    return beats + more_beats, banks + more_banks
