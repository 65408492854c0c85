"""Around the register tiles of matrix kernels: parts, batches, tables of the rows, and columns of C that are not side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isa.spec import BLOCK_ROWS
from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import I32, WORD, Value
from simulator.fast.kernels.loops import advance, share
from simulator.fast.kernels.matrix_code import LINE_BYTES, QUAD
from simulator.fast.kernels.matrix_shape import ROW_DIMENSIONS, STAGE_TABLE_BYTES, STAGED_ROW_BYTES, P


@dataclass(frozen=True)
class Rows:
    """Some rows of a batch, whose addresses are in tables, and the blocks of 16 columns block .. block_end - 1.

    b, s: B and the scales of the batch. `padded`: the rows of whole tiles, which all have addresses.
    """

    code: Code
    b: Value
    s: Value
    block: Value
    block_end: Value
    count: Value
    padded: Value

    def place(self, offset: P) -> Value:
        """The address of a part of the scratch memory."""
        return self.code.argument(Arg.SCRATCH) + self.code.parameter(offset)

    @property
    def x_table(self) -> Value:
        return self.place(P.X_TABLE)

    @property
    def y_table(self) -> Value:
        return self.place(P.Y_TABLE)


def write_kernel(code: Code, tile_rows: int, write_rows: Callable[[Rows], None]) -> None:
    """A kernel that does what `write_rows` writes for all batches and rows.

    A part is a range of the blocks of 16 columns of all batches, or where they are few a range of rows.
    """
    rows, blocks = code.parameter(P.ROWS), (code.parameter(P.COLUMNS) + (BLOCK_ROWS - 1)) // BLOCK_ROWS
    total, by_rows = code.parameter(P.BATCHES) * blocks, ~code.parameter(P.BY_ROWS).equals(0)
    some_blocks, some_rows = share(code, total, 1), share(code, rows, 1)
    first, end = by_rows.choose(code.word(0), some_blocks[0]), by_rows.choose(total, some_blocks[1])
    row, row_end = by_rows.choose(some_rows[0], code.word(0)), by_rows.choose(some_rows[1], rows)
    _fill_stage_table(code, tile_rows)
    table_rows = code.parameter(P.TABLE_ROWS)
    with code.loop(0, code.parameter(P.BATCHES)) as batch:
        block = (first - batch * blocks).larger(code.word(0))
        block_end = (end - batch * blocks).smaller(blocks)
        with code.when(block < block_end), code.loop(row, row_end, table_rows) as table_row:
            count = (row_end - table_row).smaller(table_rows)
            padded = (count + (tile_rows - 1)) // tile_rows * tile_rows
            b = code.argument(Arg.TC) + batch * code.parameter(P.B_BATCH)
            s = code.argument(Arg.TD) + batch * code.parameter(P.S_BATCH)
            done = Rows(code, b, s, block, block_end, count, padded)
            _fill_tables(done, batch, table_row)
            write_rows(done)


def _fill_tables(rows: Rows, batch: Value, first: Value) -> None:
    """The addresses of the rows of A and C. A tile that is not full reads its last row again and writes to the stage."""
    code = rows.code
    tables = (
        (rows.x_table, code.argument(Arg.TB) + batch * code.parameter(P.A_BATCH), P.A_ROW_0),
        (rows.y_table, code.argument(Arg.TA) + batch * code.parameter(P.C_BATCH), P.C_ROW_0),
    )
    steps = [[code.parameter(place + dimension) for dimension in range(ROW_DIMENSIONS)] for _, _, place in tables]
    extents = [code.parameter(P.EXTENT_0), code.parameter(P.EXTENT_1)]
    turns = [code.variable(first % extents[0]), code.variable(first // extents[0] % extents[1])]
    turns.append(code.variable(first // extents[0] // extents[1]))
    with code.loop(0, rows.count) as i:
        i0, i1, i2 = (turn.get() for turn in turns)
        for (table, base, _), (s0, s1, s2) in zip(tables, steps, strict=True):
            code.store(table + i * 8, base + i0 * s0 + i1 * s1 + i2 * s2)
        advance(code, turns, extents)
    for table, _, _ in tables:
        last = code.load(WORD, table + rows.count * 8 - 8)
        with code.loop(rows.count, rows.padded) as i:
            code.store(table + i * 8, last)


def _fill_stage_table(code: Code, tile_rows: int) -> None:
    """The addresses of the rows of the stage: a tile of C whose elements cannot be written where they belong."""
    stage = code.argument(Arg.SCRATCH) + code.parameter(P.STAGE)
    for row in range(tile_rows):
        code.store(stage + 8 * row, stage + (STAGE_TABLE_BYTES + row * STAGED_ROW_BYTES))


def write_tiles(
    rows: Rows,
    block: Value,
    tile: tuple[int, int],
    accumulate: Value,
    write_tile: Callable[[Value, Value, Value], None],
) -> None:
    """All rows by the blocks of a tile; write_tile(row, ys, y_offset) writes the code of the one that begins at a row of the tables.

    `tile`: rows and blocks; accumulate: whether C is read. ys: a table of the addresses of the tile's rows of C, moved by y_offset.
    """
    code, (tile_rows, tile_blocks) = rows.code, tile
    fits = (block + tile_blocks) * BLOCK_ROWS <= code.parameter(P.COLUMNS)
    is_whole = fits & code.parameter(P.C_COLUMN).equals(4)
    with code.loop(0, rows.count, tile_rows) as row:
        some = (rows.count - row).smaller(code.word(tile_rows))
        staged = ~(is_whole & some.equals(tile_rows))
        with code.when(staged & accumulate):
            _copy_tile(rows, row, some, block, tile_blocks, to_stage=True)
        ys = staged.choose(rows.place(P.STAGE), rows.y_table + row * 8)
        write_tile(row, ys, staged.choose(code.word(0), block * LINE_BYTES))
        with code.when(staged):
            _copy_tile(rows, row, some, block, tile_blocks, to_stage=False)


def _copy_tile(rows: Rows, row: Value, count: Value, block: Value, tile_blocks: int, to_stage: bool) -> None:
    """Rows of a tile of C to the stage or back."""
    code, first, step = rows.code, block * BLOCK_ROWS, rows.code.parameter(P.C_COLUMN)
    columns = (code.parameter(P.COLUMNS) - first).smaller(code.word(tile_blocks * BLOCK_ROWS))
    lines = step.equals(4).choose(columns // BLOCK_ROWS, code.word(0))
    with code.loop(0, count) as i:
        y = code.load(WORD, rows.y_table + (row + i) * 8) + first * step
        place = rows.place(P.STAGE) + i * STAGED_ROW_BYTES + STAGE_TABLE_BYTES
        for kind, start, end, y_step, place_step in (
            (I32, code.word(0), lines, code.word(LINE_BYTES), LINE_BYTES),
            (QUAD, lines * BLOCK_ROWS, columns, step, 4),
        ):
            with code.loop(start, end) as j:
                source, target = y + j * y_step, place + j * place_step
                if not to_stage:
                    source, target = target, source
                code.store(target, code.load(kind, source))
