"""mm and mmg of int8 rows: what is around the tiles of matrix_integer_tile.py. B is read in place in quads or copied to quads of int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, PACKED_4BIT, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.matrix_code import LINE_BYTES, added_lanes, dot_quads, load_first, zeros
from simulator.fast.kernels.matrix_elements import plain_nibble, quad_address, row_of_block
from simulator.fast.kernels.matrix_emit import BYTE, WORD, Code, Number, written_by
from simulator.fast.kernels.matrix_integer_tile import Place, Tile, write_grouped_tile, write_integer_tile
from simulator.fast.kernels.matrix_rows import Rows, write_kernel, write_tiles
from simulator.fast.kernels.matrix_scales import scale_name, write_scales
from simulator.fast.kernels.matrix_shape import Layout, P, group_size, is_quads, parameters, row_count
from simulator.fast.kernels.vectors import BYTES, I32, constant

QUAD = 4
TILES = {5: (8, 2), 2: (4, 4), 1: (1, 1)}
"""Rows and blocks of a tile, by the least number of rows."""
MAX_WIDE_GROUPS = 4096
"""More groups than this: their scales are copied for one block at a time."""


@dataclass(frozen=True)
class Plan:
    """What the code of a kernel depends on. `unrolled`: lines of a group done without a jump; scale: None for mm."""

    b: Descriptor
    tile_rows: int
    wide: int
    copies: bool
    unrolled: int
    scale: Descriptor | None

    def tile(self, blocks: int) -> Tile:
        return Tile(self.tile_rows, blocks, 4 if self.b.dtype == Dtype.I4 and not self.copies else 8)

    @property
    def copies_words(self) -> bool:
        """Whether quads of a plain row are quads of its copy."""
        is_plain = self.copies and self.b.dtype == Dtype.I8 and not is_quads(self.b)
        return is_plain and self.b.strides[0] == 1 and self.scale is None


def _pack_rows(c: Code, rows: Rows) -> None:
    """Copies the rows of A with their groups padded with zeros; the table gets the addresses of the copies."""
    group, padded, step = c.parameter(P.GROUP), c.parameter(P.PADDED_GROUP), c.parameter(P.A_TERM)
    groups, packed = c.parameter(P.GROUPS), rows.place(c, P.PACKED)
    with c.loop(0, rows.padded) as row:
        x, to = c.load_number(rows.x_table + row * 8), packed + c.least(row, rows.count - 1) * groups * padded
        c.store_number(to, rows.x_table + row * 8)
        with c.when(row < rows.count), c.loop(0, groups) as g:
            with c.loop(0, group) as k:
                c.store(c.load(x + (g * group + k) * step, BYTE), to + g * padded + k)
            with c.loop(group, padded) as k:
                c.store(BYTE(0), to + g * padded + k)


def _start_sums(c: Code, rows: Rows, excess: int) -> None:
    """What the sums of each group of the rows in the table start at, int32 [rows][groups]: -excess times the sum of x."""
    group, groups = c.parameter(P.PADDED_GROUP), c.parameter(P.GROUPS)
    sums, whole = rows.place(c, P.SUMS), group // LINE_BYTES * LINE_BYTES
    ones = constant(BYTES, 1)
    (total,) = zeros(c, I32.llvm, 1)
    with c.loop(0, rows.padded) as row:
        x = c.load_number(rows.x_table + row * 8)
        with c.loop(0, groups) as g:
            first = x + g * group
            total.value = constant(I32, 0)
            with c.loop(0, whole, LINE_BYTES) as k:
                total.value = dot_quads(c, total.value, ones, c.load(first + k, BYTES.llvm))
            with c.when(whole < group):
                rest = load_first(c, first + whole, group - whole, BYTE, LINE_BYTES, "i8")
                total.value = dot_quads(c, total.value, ones, rest)
            start = c.b.mul(added_lanes(c, total.value), WORD(-excess))
            c.store(start, sums + (row * groups + g) * 4)


def _copy_block(c: Code, plan: Plan, rows: Rows, block: Number, to: Number) -> None:
    """16 rows of B to quads of int8, groups padded to whole quads; A has zeros there."""
    group, padded, terms = c.parameter(P.GROUP), c.parameter(P.PADDED_GROUP), c.parameter(P.TERMS)
    with c.loop(0, BLOCK_ROWS) as r:
        source = row_of_block(c, rows.b, block, r, (P.B_BLOCK, P.B_ROW))
        target, done = to + r * QUAD, c.number(0)
        if plan.copies_words:
            done = terms // QUAD * QUAD
            with c.loop(0, terms // QUAD) as quad:
                c.store(c.load(source + quad * QUAD, WORD), target + quad * LINE_BYTES)
        with c.loop(done, terms) as k:
            place = k // group * padded + k % group
            c.store(_integer(c, plan.b, source, k), quad_address(target, place))


def _integer(c: Code, b: Descriptor, row: Number, k: Number) -> Any:
    """Element k of a row of B, as a byte."""
    if b.dtype in PACKED_4BIT:
        return c.narrow(plain_nibble(c, row, k) - 8, BYTE)
    return c.load(quad_address(row, k) if is_quads(b) else row + k * c.parameter(P.B_TERM), BYTE)


def _write_columns(c: Code, plan: Plan, rows: Rows, block: Number, blocks: int) -> None:
    """All rows by `blocks` blocks of columns."""
    w = rows.b + block * c.parameter(P.B_BLOCK)
    if plan.copies:
        w = rows.place(c, P.PANEL)
        _copy_block(c, plan, rows, block, w)
    scales = rows.place(c, P.SCALES)
    if plan.scale is not None:
        write_scales(c, plan.scale, rows, block, blocks, scales)
    tile, accumulate = plan.tile(blocks), c.parameter(P.ACCUMULATE)
    groups, lines = c.parameter(P.GROUPS), c.parameter(P.PADDED_GROUP) // tile.line_terms

    def write_tile(row: Number, ys: Number, y_offset: Number) -> None:
        starts = rows.place(c, P.SUMS) + row * groups * 4
        place = Place(w, c.parameter(P.B_BLOCK), rows.x_table + row * 8, ys, y_offset, starts, groups)
        if plan.scale is None:
            write_integer_tile(c, tile, place, (c.parameter(P.PADDED_GROUP) + 3) // tile.line_terms, accumulate)
        else:
            write_grouped_tile(c, tile, place, lines, plan.unrolled, scales, accumulate)

    write_tiles(c, rows, block, (tile.rows, tile.blocks), accumulate, write_tile)


def _write(c: Code, plan: Plan) -> None:
    def write_rows(c: Code, rows: Rows) -> None:
        with c.when(c.parameter(P.PACKS).differs(0)):
            _pack_rows(c, rows)
        _start_sums(c, rows, plan.tile(1).excess)
        narrow = rows.block
        if plan.wide > 1:
            narrow = rows.block_end - (rows.block_end - rows.block) % plan.wide
            with c.loop(rows.block, narrow, plan.wide) as block:
                _write_columns(c, plan, rows, block, plan.wide)
        with c.loop(narrow, rows.block_end) as block:
            _write_columns(c, plan, rows, block, 1)

    write_kernel(c, plan.tile_rows, write_rows)


def choose_integer(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """int8 A with dense B."""
    a, b, scale = operands["tb"], operands["tc"], operands.get("td")
    group = group_size(b, scale is not None)
    padded, groups = -(-group // QUAD) * QUAD, b.extents[0] // group
    copies = not is_quads(b) or (scale is not None and padded != group)
    rows = row_count(a, b)
    tile_rows, wide = TILES[next(least for least in TILES if rows >= least)]
    wide = 1 if copies or groups > MAX_WIDE_GROUPS else wide
    bits = 4 if b.dtype == Dtype.I4 and not copies else 8
    unrolled = bits if group % 32 == 0 else 1
    packs = a.strides[0] != 1 or padded != group
    layout = Layout(
        tile_rows=tile_rows,
        padded_group=padded,
        segment=0,
        packs=packs,
        sum_bytes=4 * groups,
        packed_bytes=groups * padded if packs else 0,
        scale_bytes=LINE_BYTES * groups * wide if scale is not None else 0,
        panel_bytes=groups * padded * BLOCK_ROWS if copies else 0,
    )
    plan = Plan(b, tile_rows, wide, copies, unrolled, scale)
    name = f"matrix.i8.{b.dtype.name.lower()}.{tile_rows}x{wide}"
    if copies:
        name += ".words" if plan.copies_words else ".quads" if is_quads(b) else ".plain"
    if scale is not None:
        name += f".{scale_name(scale)}.{unrolled}"
    return Choice(
        name, lambda: written_by(lambda c: _write(c, plan)), parameters(instruction, operands, layout), divisible=True
    )
