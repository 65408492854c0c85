"""mm and mmg of float rows and dense B: what is around the tiles of matrix_float_tile.py and matrix_run_tile.py.

A is copied to f32. B is read in place for few rows of A; for many it is converted to f32 first, a part of its columns at a
time. C holds the accumulators between such parts, in their full precision.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, SUM_QUANTUM, Dtype
from simulator.fast.kernels.abi import Choice
from simulator.fast.kernels.emit import Code, emitted
from simulator.fast.kernels.lanes import Value
from simulator.fast.kernels.matrix_ahead import ahead_of
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_elements import plain_rows
from simulator.fast.kernels.matrix_float_tile import FloatPlace, FloatTile
from simulator.fast.kernels.matrix_pair_tile import PairTile
from simulator.fast.kernels.matrix_panels import copy_block, pack_rows
from simulator.fast.kernels.matrix_rows import Rows, write_kernel, write_tiles
from simulator.fast.kernels.matrix_run_tile import RunTile
from simulator.fast.kernels.matrix_scales import (
    ScaleReader,
    copied_scales,
    scale_name,
    scales_in_place,
    write_scales,
)
from simulator.fast.kernels.matrix_shape import Layout, P, group_size, is_divisible, is_quads, parameters, row_count
from simulator.fast.kernels.matrix_values import column_reader, has_lines, has_runs, panel_reader

SEGMENT_COLUMNS = 512
"""Columns of B converted at a time: 16 rows of them stay in the first cache."""
FEW_ROWS = 4
SIDE_BY_SIDE = (4, 2, 1)
"""Blocks that a single row takes at once where it reads them in place: several streams of memory, whose sums do not wait for each other."""


@dataclass(frozen=True)
class FloatPlan:
    """What the code of a kernel depends on. `way`: how B is read: place, runs (with k in the lanes) or panel (converted)."""

    a: Descriptor
    b: Descriptor
    scale: Descriptor | None
    tile_rows: int
    way: str
    whole_groups: bool

    @property
    def line_terms(self) -> int:
        """Columns of a line of 64 bytes of B where it is read once, from end to end."""
        if self.tile_rows > 1 or self.b.fmt != FMT_BLOCKED:
            return 0
        return max(1, LINE_BYTES * 8 // (BLOCK_ROWS * ELEMENT_BITS[self.b.dtype]))

    @property
    def has_streams(self) -> bool:
        """Whether blocks are read side by side."""
        return self.way == "place" and self.line_terms > 0

    @property
    def tile(self) -> type[FloatTile]:
        """Of blocks that are read in place."""
        return PairTile if self.has_streams and self.b.dtype == Dtype.BF16 else FloatTile

    @property
    def name(self) -> str:
        a, b = self.a, self.b
        layout = "q" if is_quads(b) else "n" if has_lines(b) else "k" if has_runs(b) else "s"
        if layout == "n" and b.fmt == 0:
            layout = "p"
        runs = "" if a.strides[0] == ELEMENT_BITS[a.dtype] // 8 else "s"
        parts = ["matrix", a.dtype.name.lower() + runs, b.dtype.name.lower() + layout, self.way, str(self.tile_rows)]
        if self.scale is not None:
            parts.append(scale_name(self.scale))
        return ".".join(parts if self.whole_groups else [*parts, "padded"])


class Segment:
    """Columns first .. end - 1 of some rows, packed, and one block; or several of which all is read in place."""

    def __init__(self, plan: FloatPlan, rows: Rows, first: Value, end: Value, block: Value, blocks: int = 1) -> None:
        self.plan, self.rows, self.first, self.end, self.block, self.blocks = plan, rows, first, end, block, blocks
        self.code = rows.code

    def write(self) -> None:
        if self.plan.way == "runs":
            self._write_runs()
            return
        done = self.first
        if self.plan.way == "place":
            done, step = self._end_of_place(), self.code.parameter(P.B_BLOCK)
            w = [self.rows.b + (self.block + i) * step for i in range(self.blocks)]
            with self.code.when(self.first < done):
                self._write_tiles(w, self.first, done, in_place=True)
        if self.blocks > 1:
            return
        with self.code.when(done < self.end):
            copy = copy_block(self.rows, self.plan.b, self.plan.whole_groups, self.block, done, self.end)
            self._write_tiles([copy], done, self.end, in_place=False)

    def _end_of_place(self) -> Value:
        """The columns that are read in place: whole quanta, of a block that has 16 rows in memory."""
        code = self.code
        whole = code.parameter(P.TERMS) // SUM_QUANTUM * SUM_QUANTUM
        if self.plan.b.fmt:
            return whole
        fits = (self.block + 1) * BLOCK_ROWS <= code.parameter(P.COLUMNS)
        return fits.choose(whole, code.word(0))

    def _accumulates(self, first: Value) -> Value:
        """Whether C has what the columns before `first` gave, or what is added to."""
        return ~(self.code.parameter(P.ACCUMULATE) | first).equals(0)

    def _write_tiles(self, w: list[Value], first: Value, end: Value, in_place: bool) -> None:
        code, rows, plan = self.code, self.rows, self.plan
        group, streams = code.parameter(P.PADDED_GROUP), in_place and plan.has_streams
        scales = self._scales(first // group, (end - first) // group, streams)
        reader = column_reader(plan.b) if in_place else panel_reader
        ahead = (ahead_of(rows, self.block, self.blocks), plan.line_terms) if streams else None
        accumulate, tile = self._accumulates(first), plan.tile if in_place else FloatTile

        def write_tile(row: Value, ys: Value, y_offset: Value) -> None:
            xs = rows.place(P.PACKED_TABLE) + row * 8
            place = FloatPlace(w, first, end, xs, self.first, ys, y_offset, scales, group)
            tile(code, plan.tile_rows, reader, place, ahead).write(accumulate)

        write_tiles(rows, self.block, (plan.tile_rows, self.blocks), accumulate, write_tile)

    def _scales(self, first: Value, groups: Value, streams: bool) -> ScaleReader | None:
        """Those of some groups."""
        rows, scale = self.rows, self.plan.scale
        if scale is None:
            return None
        if streams and scale.fmt == FMT_BLOCKED:
            return scales_in_place(scale, rows, self.block)
        write_scales(scale, rows, (self.block, self.blocks), rows.place(P.SCALES), first, groups)
        return copied_scales(rows.code, rows.place(P.SCALES), groups)

    def _write_runs(self) -> None:
        code, rows, plan = self.code, self.rows, self.plan
        accumulate = ~code.parameter(P.ACCUMULATE).equals(0)
        w = plain_rows(code, rows.b, self.block)

        def write_tile(row: Value, ys: Value, y_offset: Value) -> None:
            xs = rows.place(P.PACKED_TABLE) + row * 8
            RunTile(code, plan.b, plan.tile_rows, xs, w, code.parameter(P.TERMS)).write(ys, y_offset, accumulate)

        write_tiles(rows, self.block, (plan.tile_rows, 1), accumulate, write_tile)


def _write(code: Code, plan: FloatPlan) -> None:
    def write_rows(rows: Rows) -> None:
        total = code.parameter(P.GROUPS) * code.parameter(P.PADDED_GROUP)
        with code.loop(0, total, code.parameter(P.SEGMENT)) as first:
            end = (first + code.parameter(P.SEGMENT)).smaller(total)
            pack_rows(rows, plan.a, plan.whole_groups, first, end)
            _write_blocks(plan, rows, first, end)

    write_kernel(code, plan.tile_rows, write_rows)


def _write_blocks(plan: FloatPlan, rows: Rows, first: Value, end: Value) -> None:
    """All blocks. With several side by side all columns are read in place: the last quantum is a whole one."""
    code, block = rows.code, rows.block
    for blocks in SIDE_BY_SIDE if plan.has_streams else (1,):
        tiles_end = rows.block_end
        if blocks > 1:
            whole = (code.parameter(P.TERMS) % SUM_QUANTUM).equals(0)
            tiles_end = whole.choose(tiles_end - (tiles_end - block) % blocks, block)
        with code.loop(block, tiles_end, blocks) as first_block:
            Segment(plan, rows, first, end, first_block, blocks).write()
        block = tiles_end


def choose_float(instruction: Decoded, operands: dict[str, Descriptor]) -> Choice:
    """f32, f16 or bf16 A with dense B."""
    a, b, scale = operands["tb"], operands["tc"], operands.get("td")
    group = group_size(b, scale is not None)
    padded, groups = -(-group // SUM_QUANTUM) * SUM_QUANTUM, b.extents[0] // group
    whole_groups, rows = scale is None or padded == group, row_count(a, b)
    way = "panel"
    if rows <= FEW_ROWS and whole_groups:
        way = "place" if has_lines(b) or is_quads(b) else "runs" if has_runs(b) and scale is None else "panel"
    tile_rows = 1 if rows == 1 else 2 if rows == 2 else 4
    columns = groups * padded
    segment = columns
    if way == "panel":
        segment = min(columns, padded if scale is not None and padded > SEGMENT_COLUMNS else SEGMENT_COLUMNS)
    layout = Layout(
        tile_rows=tile_rows,
        padded_group=padded,
        segment=segment,
        packs=False,
        sum_bytes=0,
        packed_bytes=4 * segment,
        scale_bytes=SIDE_BY_SIDE[0] * LINE_BYTES * -(-segment // padded) if scale is not None else 0,
        panel_bytes=LINE_BYTES * segment if way != "runs" else 0,
    )
    plan = FloatPlan(a, b, scale, tile_rows, way, whole_groups)
    given = parameters(instruction, operands, layout)
    return Choice(plan.name, emitted(lambda code: _write(code, plan)), given, is_divisible(operands["ta"], a))
