"""The scales of mmg, of any layout, as f32 [blocks][groups][16]: what register tiles read."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, FMT_BLOCKED
from simulator.fast.kernels.conversion import read
from simulator.fast.kernels.lanes import Value
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_elements import float_at, row_of_block
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P


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
