"""mm and mmg of int8 rows: what is around the tiles of matrix_integer_tile.py. B is read in place in quads or copied to quads of int8."""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, FMT_BLOCKED, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import I32, WORD, Kind, Value
from simulator.fast.kernels.matrix_ahead import ahead_of
from simulator.fast.kernels.matrix_code import BYTE, BYTES, LINE_BYTES, added_lanes, dot_quads
from simulator.fast.kernels.matrix_integer_tile import Place, Tile, write_grouped_tile, write_integer_tile
from simulator.fast.kernels.matrix_quads import QUAD_BYTES, copy_quads, quads_name
from simulator.fast.kernels.matrix_rows import Rows, write_kernel, write_tiles
from simulator.fast.kernels.matrix_run_tile import halved
from simulator.fast.kernels.matrix_scales import (
    ScaleReader,
    copied_scales,
    scale_name,
    scales_in_place,
    write_scales,
)
from simulator.fast.kernels.matrix_shape import Layout, P, group_size, is_divisible, is_quads, parameters, row_count

TILES = {5: (8, 2), 2: (4, 4), 1: (1, 4)}
"""Rows and blocks of a tile, by the least number of rows."""
SMALL_GROUP, GROUPS_AT_ONCE = 32, 16
MAX_WIDE_GROUPS = 4096
"""More groups than this: their scales are copied for one block at a time."""


@dataclass(frozen=True)
class Plan:
    """What the code of a kernel depends on. `unrolled`: lines done without a jump: those of 32 terms if a group has such, or 1.

    scale: None for mm.
    """

    b: Descriptor
    tile_rows: int
    wide: int
    copies: bool
    unrolled: int
    scale: Descriptor | None

    def tile(self, blocks: int) -> Tile:
        return Tile(self.tile_rows, blocks, 4 if self.b.dtype == Dtype.I4 and not self.copies else 8)

    @property
    def widths(self) -> tuple[int, ...]:
        """Blocks of tiles, from the widest on; a single row has narrower ones for small parts of small products."""
        return tuple(sorted({self.wide, *((2,) if self.tile_rows == 1 < self.wide else ()), 1}, reverse=True))


def _pack_rows(rows: Rows) -> None:
    """Copies the rows of A with their groups padded with zeros; the table gets the addresses of the copies."""
    code = rows.code
    group, padded, step = code.parameter(P.GROUP), code.parameter(P.PADDED_GROUP), code.parameter(P.A_TERM)
    groups, packed = code.parameter(P.GROUPS), rows.place(P.PACKED)
    with code.loop(0, rows.padded) as row:
        x, to = code.load(WORD, rows.x_table + row * 8), packed + row.smaller(rows.count - 1) * groups * padded
        code.store(rows.x_table + row * 8, to)
        with code.when(row < rows.count), code.loop(0, groups) as g:
            with code.loop(0, group) as k:
                code.store(to + g * padded + k, code.load(BYTE, x + (g * group + k) * step))
            with code.loop(group, padded) as k:
                code.store(to + g * padded + k, code.constant(BYTE, 0))


def _rest_of_line(plan: Plan, code: Code, address: Value, count: Value) -> Value:
    """Less than a line of x, and zeros."""
    if plan.unrolled == 1:
        return code.load_first(BYTES, address, count)
    half = code.load(Kind("i8", LINE_BYTES // 2), address)
    return half.shuffled(range(LINE_BYTES), half.like(0))


def _sums_of_small_groups(code: Code, x: Value) -> Value:
    """The sums of 16 groups of 32 bytes, which are 8 lanes of sums of 4 each."""
    ones, none = code.constant(BYTES, 1), code.constant(I32, 0)
    lines = [dot_quads(code, none, ones, code.load(BYTES, x + i * LINE_BYTES)) for i in range(GROUPS_AT_ONCE // 2)]
    for width in (8, 4, 2):
        lines = [halved(a, b, width) for a, b in zip(lines[::2], lines[1::2], strict=True)]
    return lines[0]


def _start_sums(plan: Plan, rows: Rows) -> None:
    """What the sums of each group of the rows in the table start at, int32 [rows][groups]: -excess times the sum of x."""
    code = rows.code
    group, groups = code.parameter(P.PADDED_GROUP), code.parameter(P.GROUPS)
    starts, whole = rows.place(P.SUMS), group // LINE_BYTES * LINE_BYTES
    ones, none = code.constant(BYTES, 1), code.constant(I32, 0)
    total = code.variable(none)
    with code.loop(0, rows.padded) as row:
        x, at_once = code.load(WORD, rows.x_table + row * 8), code.word(0)
        if plan.unrolled > 1:
            at_once = group.equals(SMALL_GROUP).choose(groups - groups % GROUPS_AT_ONCE, at_once)
            with code.loop(0, at_once, GROUPS_AT_ONCE) as g:
                sums = _sums_of_small_groups(code, x + g * SMALL_GROUP)
                code.store(starts + (row * groups + g) * 4, sums * -plan.tile(1).excess)
        with code.loop(at_once, groups) as g:
            first = x + g * group
            total.set(none)
            with code.loop(0, whole, LINE_BYTES) as k:
                total.set(dot_quads(code, total.get(), ones, code.load(BYTES, first + k)))
            with code.when(whole < group):
                total.set(dot_quads(code, total.get(), ones, _rest_of_line(plan, code, first + whole, group - whole)))
            code.store(starts + (row * groups + g) * 4, added_lanes(total.get()) * -plan.tile(1).excess)


def _write_columns(plan: Plan, rows: Rows, block: Value, blocks: int) -> None:
    """All rows by `blocks` blocks of columns."""
    code = rows.code
    w = rows.b + block * code.parameter(P.B_BLOCK)
    if plan.copies:
        w = rows.place(P.PANEL)
        copy_quads(rows, plan.b, plan.scale is not None, block, w)
    scales = None if plan.scale is None else _scales(plan, plan.scale, rows, block, blocks)
    ahead = ahead_of(rows, block, blocks) if plan.tile_rows == 1 and not plan.copies else None
    tile, accumulate = plan.tile(blocks), ~code.parameter(P.ACCUMULATE).equals(0)
    groups, group = code.parameter(P.GROUPS), code.parameter(P.PADDED_GROUP)

    def write_tile(row: Value, ys: Value, y_offset: Value) -> None:
        starts = rows.place(P.SUMS) + row * groups * 4
        place = Place(w, code.parameter(P.B_BLOCK), rows.x_table + row * 8, ys, y_offset, starts, groups, ahead)
        if scales is None:
            write_integer_tile(code, tile, place, group // tile.line_terms, accumulate)
        else:
            write_grouped_tile(code, tile, place, group // tile.line_terms, plan.unrolled, scales, accumulate)

    write_tiles(rows, block, (tile.rows, tile.blocks), accumulate, write_tile)


def _scales(plan: Plan, scale: Descriptor, rows: Rows, block: Value, blocks: int) -> ScaleReader:
    """Of all groups of some blocks. A single row reads each once."""
    code, groups = rows.code, rows.code.parameter(P.GROUPS)
    if plan.tile_rows == 1 and scale.fmt == FMT_BLOCKED:
        return scales_in_place(scale, rows, block)
    write_scales(scale, rows, (block, blocks), rows.place(P.SCALES), code.word(0), groups)
    return copied_scales(code, rows.place(P.SCALES), groups)


def _write(code: Code, plan: Plan) -> None:
    def write_rows(rows: Rows) -> None:
        with code.when(~code.parameter(P.PACKS).equals(0)):
            _pack_rows(rows)
        _start_sums(plan, rows)
        first = rows.block
        for blocks in plan.widths:
            end = rows.block_end - (rows.block_end - first) % blocks
            with code.loop(first, end, blocks) as block:
                _write_columns(plan, rows, block, blocks)
            first = end

    write_kernel(code, plan.tile_rows, write_rows)


def choose_integer(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """int8 A with dense B."""
    a, b, scale = operands["tb"], operands["tc"], operands.get("td")
    group = group_size(b, scale is not None)
    padded, groups = -(-group // QUAD_BYTES) * QUAD_BYTES, b.extents[0] // group
    copies = not is_quads(b) or (scale is not None and padded != group)
    rows = row_count(a, b)
    tile_rows, wide = TILES[next(least for least in TILES if rows >= least)]
    wide = 1 if copies or groups > MAX_WIDE_GROUPS else wide
    bits = 4 if b.dtype == Dtype.I4 and not copies else 8
    unrolled = bits if scale is not None and group % 32 == 0 else 1
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
        name += f".{quads_name(b, scale is not None)}"
    if scale is not None:
        name += f".{scale_name(scale)}.{unrolled}"
    given = parameters(instruction, operands, layout)
    return Choice(name, emitted(lambda code: _write(code, plan)), given, is_divisible(operands["ta"], a))
