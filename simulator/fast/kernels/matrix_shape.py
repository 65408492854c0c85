"""What a matrix kernel is told about its operands: worked out once per form, in Python."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, auto

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, QUADS, Flag
from simulator.fast.kernels.abi import MAX_PARAMETERS, SCRATCH_BYTES

ROW_DIMENSIONS = 3
MAX_TABLE_ROWS = 512
PACKED_BYTES = 1 << 24
WORTH_DIVIDING_PRODUCTS = 1 << 16
STAGE_TABLE_BYTES = 512
STAGED_ROW_BYTES = 256
"""Of the stage (matrix_rows.py): the table of its rows, and a row, 64 columns of C."""


class P(IntEnum):
    """Places of the parameters. Steps are bytes."""

    BATCHES = 0  # parts of C with a B of their own
    A_BATCH = auto()
    B_BATCH = auto()
    C_BATCH = auto()
    S_BATCH = auto()
    ROWS = auto()  # of A and C in a batch
    EXTENT_0 = auto()  # .. the dimensions that make the rows, innermost first
    EXTENT_1 = auto()
    A_ROW_0 = auto()
    A_ROW_1 = auto()
    A_ROW_2 = auto()
    C_ROW_0 = auto()
    C_ROW_1 = auto()
    C_ROW_2 = auto()
    COLUMNS = auto()  # n
    TERMS = auto()  # k
    GROUP = auto()  # terms of a group; all of them for mm
    GROUPS = auto()
    A_TERM = auto()
    B_TERM = auto()  # plain rows, and blocks of floats
    B_ROW = auto()
    B_BLOCK = auto()  # 16 rows
    C_COLUMN = auto()
    S_GROUP = auto()
    S_ROW = auto()
    S_BLOCK = auto()
    B_GROUP = auto()  # terms of a group of nibbles, plain
    ACCUMULATE = auto()
    BY_ROWS = auto()  # whether parts are rows, else blocks of columns
    TABLE_ROWS = auto()  # rows done at a time
    PADDED_GROUP = auto()  # terms of a group where A is copied, padded with zeros
    SEGMENT = auto()  # columns done at a time of floats: copied terms with their padding
    PACKS = auto()  # whether int8 A is copied
    X_TABLE = auto()  # .. offsets in the scratch memory
    Y_TABLE = auto()
    PACKED_TABLE = auto()
    SUMS = auto()
    SCALES = auto()
    STAGE = auto()
    PACKED = auto()
    PANEL = auto()
    TILES = auto()
    LENGTH = auto()


assert P.LENGTH <= MAX_PARAMETERS


@dataclass(frozen=True)
class Layout:
    """How a chooser wants the scratch memory. `sum_bytes`, `packed_bytes`: of a row of A; the others in all. `tiles_bytes`: for tile
    registers. `few_blocks`: fewer blocks of columns than this are not shared, but rows.
    """

    tile_rows: int
    padded_group: int
    segment: int
    packs: bool
    sum_bytes: int
    packed_bytes: int
    scale_bytes: int
    panel_bytes: int
    tiles_bytes: int = 0
    few_blocks: int = 8


def is_quads(b: Descriptor) -> bool:
    """Whether B is blocked in quads of bytes."""
    return b.fmt == FMT_BLOCKED and b.dtype in QUADS


def is_divisible(c: Descriptor, a: Descriptor) -> bool:
    """Whether a product is worth more than one thread: a few microseconds, several times what it takes to share it."""
    return c.elements * a.extents[0] >= WORTH_DIVIDING_PRODUCTS


def row_count(a: Descriptor, b: Descriptor) -> int:
    """Rows of A in a batch."""
    return a.extents[1] * a.extents[3] * (1 if b.extents[2] > 1 else a.extents[2])


def parameters(instruction: Decoded, operands: dict[str, Descriptor], layout: Layout) -> tuple[int, ...]:
    """In the order of P."""
    c, a, b = operands["ta"], operands["tb"], operands["tc"]
    values = [0] * P.LENGTH
    batches = b.extents[2]
    values[P.BATCHES] = batches
    if batches > 1:
        values[P.A_BATCH], values[P.B_BATCH], values[P.C_BATCH] = a.strides[2], b.strides[2], c.strides[2]
    rows = _row_dimensions(a, c, batches)
    for dimension, (extent, a_step, c_step) in enumerate(rows):
        values[P.A_ROW_0 + dimension], values[P.C_ROW_0 + dimension] = a_step, c_step
        if dimension < ROW_DIMENSIONS - 1:
            values[P.EXTENT_0 + dimension] = extent
    values[P.ROWS] = row_count(a, b)
    values[P.COLUMNS], values[P.TERMS] = b.extents[1], b.extents[0]
    values[P.A_TERM], values[P.C_COLUMN] = a.strides[0], c.strides[0]
    values[P.B_TERM], values[P.B_ROW], values[P.B_BLOCK] = _row_steps(b)
    values[P.GROUP], values[P.GROUPS], values[P.B_GROUP] = b.extents[0], 1, 1 << b.glog2
    scales = operands.get("td")
    if scales is not None:
        values[P.GROUP], values[P.GROUPS] = 1 << b.glog2, scales.extents[0]
        values[P.S_GROUP], values[P.S_ROW], values[P.S_BLOCK] = _row_steps(scales)
        values[P.S_BATCH] = scales.strides[2] if scales.extents[2] > 1 else 0
    values[P.ACCUMULATE] = int(bool(instruction.fl & Flag.ACC))
    blocks = batches * -(-b.extents[1] // BLOCK_ROWS)
    values[P.BY_ROWS] = int(blocks < layout.few_blocks and values[P.ROWS] > blocks * layout.tile_rows)
    _lay_out(values, layout)
    return tuple(values)


def _row_dimensions(a: Descriptor, c: Descriptor, batches: int) -> list[tuple[int, int, int]]:
    """Extent, step of A and of C of the dimensions that make the rows; dimension 2 is the batch if B has one."""
    order = (1, 3) if batches > 1 else (1, 2, 3)
    loops = [(a.extents[i], a.strides[i], c.strides[i]) for i in order if a.extents[i] > 1]
    return loops + [(1, 0, 0)] * (ROW_DIMENSIONS - len(loops))


def _row_steps(d: Descriptor) -> tuple[int, int, int]:
    """Steps of a term, of a row in its block and of a block: element (n, k) lies at (n div 16) s2 + (n mod 16) s1 + k s0."""
    if not d.fmt & FMT_BLOCKED:
        return d.strides[0], d.strides[1], BLOCK_ROWS * d.strides[1]
    size = ELEMENT_BITS[d.dtype] // 8
    return (0, 4, d.strides[1]) if d.dtype in QUADS else (BLOCK_ROWS * size, size, d.strides[1])


def _lay_out(values: list[int], layout: Layout) -> None:
    rows = -(-values[P.ROWS] // layout.tile_rows) * layout.tile_rows
    row_bytes = layout.sum_bytes + layout.packed_bytes
    fitting = PACKED_BYTES // max(1, row_bytes) // layout.tile_rows * layout.tile_rows
    table_rows = max(layout.tile_rows, min(rows, MAX_TABLE_ROWS, fitting))
    values[P.TABLE_ROWS], values[P.PADDED_GROUP] = table_rows, layout.padded_group
    values[P.SEGMENT], values[P.PACKS] = layout.segment, int(layout.packs)
    at = 0
    for place, size_bytes in (
        (P.X_TABLE, 8 * table_rows),
        (P.Y_TABLE, 8 * table_rows),
        (P.PACKED_TABLE, 8 * table_rows),
        (P.SUMS, layout.sum_bytes * table_rows),
        (P.SCALES, layout.scale_bytes),
        (P.STAGE, STAGE_TABLE_BYTES + layout.tile_rows * STAGED_ROW_BYTES),
        (P.PACKED, layout.packed_bytes * table_rows),
        (P.PANEL, layout.panel_bytes),
        (P.TILES, layout.tiles_bytes),
    ):
        values[place] = at
        at += -(-size_bytes // 64) * 64
    assert at <= SCRATCH_BYTES, f"a matrix kernel needs {at} bytes of scratch memory"


def group_size(b: Descriptor, is_grouped: bool) -> int:
    """Terms of a group of mmg, else all of them."""
    return 1 << b.glog2 if is_grouped else b.extents[0]
