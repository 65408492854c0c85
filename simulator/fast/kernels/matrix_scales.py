"""The scales of mmg, of any layout, as f32 [blocks][groups][16]: what register tiles read."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.spec import BLOCK_ROWS, FMT_BLOCKED, Dtype
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_elements import FLOAT_AT, row_of_block
from simulator.fast.kernels.matrix_emit import Code, Number
from simulator.fast.kernels.matrix_rows import Rows
from simulator.fast.kernels.matrix_shape import P
from simulator.fast.kernels.matrix_values import load_floats


def scale_name(s: Descriptor) -> str:
    """What of the scales the code depends on."""
    return s.dtype.name.lower() + ("b" if _are_lines(s) else "")


def _are_lines(s: Descriptor) -> bool:
    """Whether 16 scales lie side by side and are converted at once."""
    return s.fmt == FMT_BLOCKED and s.dtype != Dtype.E8M0


def write_scales(c: Code, s: Descriptor, rows: Rows, block: Number, blocks: int, to: Number) -> None:
    """Copies the scales of `blocks` blocks of rows of B."""
    groups = c.parameter(P.GROUPS)
    for i in range(blocks):
        place = to + groups * (LINE_BYTES * i)
        if _are_lines(s):
            source = rows.s + (block + i) * c.parameter(P.S_BLOCK)
            with c.loop(0, groups) as group:
                c.store(load_floats(c, s.dtype, source + group * c.parameter(P.S_GROUP)), place + group * LINE_BYTES)
        else:
            _write_elements(c, s.dtype, rows, block + i, place)


def _write_elements(c: Code, dtype: Dtype, rows: Rows, block: Number, to: Number) -> None:
    with c.loop(0, BLOCK_ROWS) as r:
        source = row_of_block(c, rows.s, block, r, (P.S_BLOCK, P.S_ROW))
        with c.loop(0, c.parameter(P.GROUPS)) as group:
            value = FLOAT_AT[dtype](c, source + group * c.parameter(P.S_GROUP))
            c.store(value, to + group * LINE_BYTES + r * 4)
