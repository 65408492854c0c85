"""mm and mmg of int8 rows with the tile registers of AMX: what is around the tiles of matrix_amx_tile.py.

Quads of int8 are read in place; other layouts are copied to such, with nibbles unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.amx import ROW_BYTES, TILE_BYTES, TILE_ROWS, Shape, release, set_shapes, write_shapes
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import WORD, Value
from simulator.fast.kernels.matrix_amx_panels import copy_tail, pack_rows, row_bytes_of
from simulator.fast.kernels.matrix_amx_tile import (
    SUMS_BYTES,
    Place,
    group_shapes,
    product_shapes,
    write_group_tile,
    write_product_tile,
)
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_quads import copy_quads, quads_name, unpack_quads
from simulator.fast.kernels.matrix_rows import Rows, write_kernel, write_tiles
from simulator.fast.kernels.matrix_scales import scale_name, write_scales
from simulator.fast.kernels.matrix_shape import Layout, P, group_size, is_divisible, is_quads, parameters, row_count
from simulator.fast.target import has_tiles

LEAST_ROWS = 8
GROUP_TERMS = 32
"""Groups of fewer terms leave most of a tile register empty."""
FEW_BLOCKS = 4
UNPACKED_TERMS = 512
"""Of nibbles, at a time: 8 KB that stay in the nearest cache."""
WHOLE, REST, SUMS = 0, LINE_BYTES, 2 * LINE_BYTES
"""Offsets in the memory for tile registers: two sets of shapes, and sums."""


@dataclass(frozen=True)
class Plan:
    """What the code of a kernel depends on. scale: None for mm. `terms`: of one product of tile registers. `strided`: whether the
    elements of a row of A have gaps.
    """

    b: Descriptor
    scale: Descriptor | None
    tile_rows: int
    terms: int
    lines_ahead: int
    strided: bool

    @property
    def unpacks(self) -> bool:
        return self.b.dtype == Dtype.I4 and is_quads(self.b)

    @property
    def copies(self) -> bool:
        return not is_quads(self.b)

    def shapes(self, rows: Value) -> list[Shape]:
        """Of a tile with fewer rows than `tile_rows`."""
        if self.scale is not None:
            return group_shapes(rows, self.terms)
        more = rows > TILE_ROWS
        first, second = more.choose(rows.like(TILE_ROWS), rows), more.choose(rows - TILE_ROWS, rows)
        return product_shapes((first, second))


def _ahead(rows: Rows, w: Value, block: Value, blocks: int) -> Value:
    """The weights that are wanted behind those of some blocks: the next blocks, or those of this part in the next strip of a matrix."""
    code, step = rows.code, rows.code.parameter(P.B_BLOCK)
    total = (code.parameter(P.COLUMNS) + (BLOCK_ROWS - 1)) // BLOCK_ROWS
    behind = w + step * blocks
    strip = behind + (total - rows.block_end + rows.block) * step + total * code.parameter(P.S_BLOCK)
    return (block + blocks < rows.block_end).choose(behind, strip)


def _write_columns(plan: Plan, rows: Rows, block: Value, blocks: int) -> None:
    """All rows by `blocks` blocks of columns."""
    code, panel, groups = rows.code, rows.place(P.PANEL), rows.code.parameter(P.GROUPS)
    w, w_step, tail = rows.b + block * code.parameter(P.B_BLOCK), code.parameter(P.B_BLOCK), code.word(0)
    ahead, accumulate = _ahead(rows, w, block, blocks), ~code.parameter(P.ACCUMULATE).equals(0)
    if plan.scale is not None:
        write_scales(plan.scale, rows, (block, blocks), rows.place(P.SCALES), code.word(0), groups)
    if plan.unpacks:
        group = code.parameter(P.GROUP)
        some = (code.word(UNPACKED_TERMS) // group).larger(code.word(1))
        with code.loop(0, groups, some) as first:
            count = (groups - first).smaller(some)
            unpack_quads(code, w + first * group * (BLOCK_ROWS // 2), panel, count * group)
            columns = Columns(panel, w_step, tail, ahead, first, count, accumulate | (first > 0))
            _write_tiles(plan, rows, block, blocks, columns)
        return
    if plan.copies:
        w_step = row_bytes_of(code) * BLOCK_ROWS
        for i in range(blocks):
            copy_quads(rows, plan.b, plan.scale is not None, (block + i), panel + w_step * i)
        w = panel
    elif plan.scale is None:
        tail = copy_tail(rows, w, blocks)
    _write_tiles(plan, rows, block, blocks, Columns(w, w_step, tail, ahead, code.word(0), groups, accumulate))


@dataclass(frozen=True)
class Columns:
    """Some groups of blocks of B. w: the first block of these; the next is w_step bytes behind. tail: of write_product_tile; ahead: weights
    that will be wanted; first, groups: the number of the first group, and how many; accumulate: whether C is read.
    """

    w: Value
    w_step: Value
    tail: Value
    ahead: Value
    first: Value
    groups: Value
    accumulate: Value


def _write_tiles(plan: Plan, rows: Rows, block: Value, blocks: int, some: Columns) -> None:
    """All rows by some groups of `blocks` blocks."""
    code, x_step, tiles = rows.code, _x_step(rows.code), rows.place(P.TILES)
    products = code.parameter(P.PADDED_GROUP) // plan.terms
    turns = code.parameter(P.GROUPS) if plan.scale is not None else products
    scales = rows.place(P.SCALES) + some.first * LINE_BYTES

    def write_tile(row: Value, ys: Value, y_offset: Value) -> None:
        count = (rows.count - row).smaller(code.word(plan.tile_rows))
        is_rest = count < plan.tile_rows
        with code.when(is_rest):
            set_shapes(code, tiles + REST)
        x = code.load(WORD, rows.x_table + row * 8) + some.first * code.parameter(P.PADDED_GROUP)
        ahead = some.ahead + (row // plan.tile_rows * turns + some.first) * (plan.lines_ahead * LINE_BYTES)
        place = Place(some.w, some.w_step, x, x_step, ys, y_offset, tiles + SUMS, ahead, plan.lines_ahead)
        if plan.scale is None:
            for condition, high in ((count > TILE_ROWS, 2), (count <= TILE_ROWS, 1)):
                with code.when(condition):
                    write_product_tile(code, (high, blocks), place, products, some.tail, count, some.accumulate)
        else:
            group = (products, some.groups)
            write_group_tile(code, plan.tile_rows, place, plan.terms, group, scales, some.accumulate)
        with code.when(is_rest):
            set_shapes(code, tiles + WHOLE)

    write_tiles(rows, block, (plan.tile_rows, blocks), some.accumulate, write_tile)


def _x_step(code: Code) -> Value:
    """From a row of A to the next."""
    is_packed = ~code.parameter(P.PACKS).equals(0)
    return is_packed.choose(row_bytes_of(code), code.parameter(P.A_ROW_0))


def _write(code: Code, plan: Plan) -> None:
    def write_rows(rows: Rows) -> None:
        with code.when(~code.parameter(P.PACKS).equals(0)):
            pack_rows(rows, plan.strided)
        shapes = rows.place(P.TILES)
        write_shapes(code, shapes + WHOLE, plan.shapes(code.word(plan.tile_rows)))
        rest = rows.count % plan.tile_rows
        write_shapes(code, shapes + REST, plan.shapes(rest.equals(0).choose(code.word(plan.tile_rows), rest)))
        set_shapes(code, shapes + WHOLE)
        narrow = rows.block
        if plan.scale is None:
            narrow = rows.block_end - (rows.block_end - rows.block) % 2
            with code.loop(rows.block, narrow, 2) as block:
                _write_columns(plan, rows, block, 2)
        with code.loop(narrow, rows.block_end) as block:
            _write_columns(plan, rows, block, 1)
        release(code)

    write_kernel(code, plan.tile_rows, write_rows)


def can_use_tiles(operands: dict[str, Descriptor]) -> bool:
    """Whether tile registers can do a product of int8 rows, faster than others."""
    a, b = operands["tb"], operands["tc"]
    if row_count(a, b) < LEAST_ROWS or not has_tiles():
        return False
    return "td" not in operands or group_size(b, True) >= GROUP_TERMS


def choose_tiles(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """int8 A with dense B."""
    a, b, scale = operands["tb"], operands["tc"], operands.get("td")
    terms = b.extents[0] if scale is None else group_size(b, True)
    padded, groups = -(-terms // ROW_BYTES) * ROW_BYTES if scale is None else terms, b.extents[0] // terms
    rows, width = row_count(a, b), 2 if scale is None else 1
    tile_rows = 2 * TILE_ROWS if scale is None else -(-rows // -(-rows // TILE_ROWS))
    row_dimensions = sum(
        extent > 1 for extent in (a.extents[1], a.extents[3], a.extents[2] if b.extents[2] == 1 else 1)
    )
    strided = a.strides[0] != 1
    packs = strided or row_dimensions > 1 or padded != terms
    copies, unpacks = not is_quads(b), is_quads(b) and b.dtype == Dtype.I4
    panel_bytes = width * TILE_BYTES
    if copies or unpacks:
        panel_bytes = width * BLOCK_ROWS * groups * padded
    plan = Plan(b, scale, tile_rows, min(padded, ROW_BYTES), _lines_ahead(b, terms, rows, tile_rows, width), strided)
    layout = Layout(
        tile_rows=tile_rows,
        padded_group=padded,
        segment=0,
        packs=packs,
        sum_bytes=0,
        packed_bytes=groups * padded if packs else 0,
        scale_bytes=LINE_BYTES * groups if scale is not None else 0,
        panel_bytes=panel_bytes,
        tiles_bytes=SUMS + SUMS_BYTES,
        few_blocks=FEW_BLOCKS,
    )
    name = f"matrix.i8.{b.dtype.name.lower()}.amx{tile_rows}x{width}.{plan.terms}.{plan.lines_ahead}"
    if copies:
        name += f".{quads_name(b, scale is not None)}"
    if strided:
        name += ".strided"
    if scale is not None:
        name += f".{scale_name(scale)}"
    given = parameters(instruction, operands, layout)
    return Choice(name, emitted(lambda code: _write(code, plan)), given, is_divisible(operands["ta"], a))


def _lines_ahead(b: Descriptor, terms: int, rows: int, tile_rows: int, width: int) -> int:
    """How many lines of the next weights are asked for with each product (mm) or group, so that all are when a block's rows are done."""
    if not is_quads(b):
        return 0
    bits = 4 if b.dtype == Dtype.I4 else 8
    lines = width * BLOCK_ROWS * min(terms, ROW_BYTES if width == 2 else terms) * bits // 8 // LINE_BYTES
    return -(-lines // -(-rows // tile_rows))
