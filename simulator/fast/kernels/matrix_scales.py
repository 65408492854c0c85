"""The scales of mmg, of any layout: what register tiles read of them. Read in place or copied first, as f32 [blocks][groups][16]."""

from __future__ import annotations

from collections.abc import Callable

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, FMT_BLOCKED
from simulator.fast.kernels.conversion import read
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, Value
from simulator.fast.kernels.matrix_code import LINE_BYTES, SECOND_CACHE, prefetch
from simulator.fast.kernels.matrix_elements import float_at, row_of_block
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P

SCALE_PREFETCH_BYTES = 1024
ScaleReader = Callable[[int, Value], Value]
"""scales(i, group): of the 16 rows of the tile's block i, as binary32; groups are counted from the tile's first one."""


def scale_name(s: Descriptor) -> str:
    """What of the scales the code depends on."""
    return s.dtype.name.lower() + ("b" if s.fmt == FMT_BLOCKED else "")


def write_scales(s: Descriptor, rows: Rows, blocks: tuple[Value, int], to: Value, first: Value, groups: Value) -> None:
    """Copies the scales of `groups` groups from `first` on, for some blocks of rows of B: the number of the first, and how many."""
    code = rows.code
    for i in range(blocks[1]):
        block, place = blocks[0] + i, to + groups * (LINE_BYTES * i)
        if s.fmt == FMT_BLOCKED:
            source = rows.s + block * code.parameter(P.S_BLOCK)
            with code.loop(0, groups) as group:
                at = source + (first + group) * code.parameter(P.S_GROUP)
                code.store(place + group * LINE_BYTES, read(code, s.dtype, at))
            continue
        with code.loop(0, BLOCK_ROWS) as r:
            source = row_of_block(code, rows.s, block, r, (P.S_BLOCK, P.S_ROW))
            with code.loop(0, groups) as group:
                value = float_at(code, s.dtype, source + (first + group) * code.parameter(P.S_GROUP))
                code.store(place + group * LINE_BYTES + r * 4, value)


def copied_scales(code: Code, place: Value, groups: Value) -> ScaleReader:
    """Of what `write_scales` wrote."""
    return lambda i, group: code.load(F32, place + groups * (LINE_BYTES * i) + group * LINE_BYTES)


def scales_in_place(s: Descriptor, rows: Rows, block: Value) -> ScaleReader:
    """Of blocked scales, from a block of rows of B on: for a tile that reads each of them once."""
    code = rows.code

    def scale(i: int, group: Value) -> Value:
        at = rows.s + (block + i) * code.parameter(P.S_BLOCK) + group * code.parameter(P.S_GROUP)
        prefetch(code, at + SCALE_PREFETCH_BYTES, SECOND_CACHE)
        return read(code, s.dtype, at)

    return scale
