"""Around the register tiles of matrix kernels: parts, batches, tables of the rows, and columns of C that are not side by side."""

from __future__ import annotations

from collections.abc import Callable

from isa.spec import BLOCK_ROWS
from simulator.fast.kernels.abi import Arg
from simulator.fast.kernels.matrix_code import LINE_BYTES
from simulator.fast.kernels.matrix_emit import WORD, Code, Number
from simulator.fast.kernels.matrix_shape import P
from simulator.fast.kernels.vectors import I32

STAGE_TABLE_BYTES = 512
STAGED_ROW_BYTES = 4 * LINE_BYTES


class Rows:
    """Some rows of a batch, whose addresses are in tables, and some blocks of 16 columns. b, s: B and the scales of the batch;
    `padded`: the rows of whole tiles, which all have addresses.
    """

    def __init__(
        self, c: Code, b: Number, s: Number, blocks: tuple[Number, Number], count: Number, padded: Number
    ) -> None:
        self.b, self.s, self.count, self.padded = b, s, count, padded
        self.block, self.block_end = blocks
        self.scratch = c.argument(Arg.SCRATCH)
        self.x_table, self.y_table, self.stage = (self.place(c, p) for p in (P.X_TABLE, P.Y_TABLE, P.STAGE))

    def place(self, c: Code, offset: P) -> Number:
        """The address of a part of the scratch memory."""
        return self.scratch + c.parameter(offset)


def write_kernel(c: Code, tile_rows: int, write_rows: Callable[[Code, Rows], None]) -> None:
    """A kernel that does what `write_rows` writes for all batches and rows.

    A part is a range of the blocks of 16 columns of all batches, or where they are few a range of rows.
    """
    part, parts = c.argument(Arg.PART), c.argument(Arg.PARTS)
    rows, blocks = c.parameter(P.ROWS), (c.parameter(P.COLUMNS) + (BLOCK_ROWS - 1)) // BLOCK_ROWS
    total, by_rows = c.parameter(P.BATCHES) * blocks, c.parameter(P.BY_ROWS).differs(0)
    end = c.choose(by_rows, total, total * (part + 1) // parts)
    first = c.choose(by_rows, 0, total * part // parts)
    row_end = c.choose(by_rows, rows * (part + 1) // parts, rows)
    row = c.choose(by_rows, rows * part // parts, 0)
    _fill_stage_table(c, tile_rows)
    table_rows = c.parameter(P.TABLE_ROWS)
    with c.loop(0, c.parameter(P.BATCHES)) as batch:
        block, block_end = c.most(first - batch * blocks, 0), c.least(end - batch * blocks, blocks)
        with c.when(block < block_end), c.loop(row, row_end, table_rows) as table_row:
            count = c.least(row_end - table_row, table_rows)
            b = c.argument(Arg.TC) + batch * c.parameter(P.B_BATCH)
            s = c.argument(Arg.TD) + batch * c.parameter(P.S_BATCH)
            padded = (count + (tile_rows - 1)) // tile_rows * tile_rows
            part_rows = Rows(c, b, s, (block, block_end), count, padded)
            _fill_tables(c, part_rows, batch, table_row)
            write_rows(c, part_rows)


def _offset(c: Code, row: Number, steps: P) -> Number:
    """Bytes from row 0 of a batch to a row; `steps`: A_ROW_0 or C_ROW_0."""
    outer, last = row // c.parameter(P.EXTENT_0), row // c.parameter(P.EXTENT_0) // c.parameter(P.EXTENT_1)
    i0, i1 = row - outer * c.parameter(P.EXTENT_0), outer - last * c.parameter(P.EXTENT_1)
    return i0 * c.parameter(steps) + i1 * c.parameter(steps + 1) + last * c.parameter(steps + 2)


def _fill_tables(c: Code, rows: Rows, batch: Number, first: Number) -> None:
    """The addresses of the rows of A and C. A tile that is not full reads its last row again and writes to the stage."""
    a = c.argument(Arg.TB) + batch * c.parameter(P.A_BATCH)
    y = c.argument(Arg.TA) + batch * c.parameter(P.C_BATCH)
    with c.loop(0, rows.padded) as i:
        row = first + c.least(i, rows.count - 1)
        c.store_number(a + _offset(c, row, P.A_ROW_0), rows.x_table + i * 8)
        c.store_number(y + _offset(c, row, P.C_ROW_0), rows.y_table + i * 8)


def _fill_stage_table(c: Code, tile_rows: int) -> None:
    """The addresses of the rows of the stage: a tile of C whose elements cannot be written where they belong."""
    stage = c.argument(Arg.SCRATCH) + c.parameter(P.STAGE)
    for row in range(tile_rows):
        c.store_number(stage + (STAGE_TABLE_BYTES + row * STAGED_ROW_BYTES), stage + 8 * row)


def write_tiles(
    c: Code,
    rows: Rows,
    block: Number,
    tile: tuple[int, int],
    accumulate: Number,
    write_tile: Callable[[Number, Number, Number], None],
) -> None:
    """All rows by the blocks of one tile; write_tile(row, ys, y_offset) writes the code of the tile that begins at a row of the tables.

    `tile`: rows and blocks. ys: a table of the addresses of the tile's rows of C, each of which is moved by y_offset.
    """
    tile_rows, tile_blocks = tile
    with c.loop(0, rows.count, tile_rows) as row:
        some = c.least(rows.count - row, tile_rows)
        is_whole = c.b.and_(
            c.parameter(P.C_COLUMN).equals(4), (block + tile_blocks) * BLOCK_ROWS <= c.parameter(P.COLUMNS)
        )
        in_place = c.b.and_(is_whole, some.equals(tile_rows))
        staged = c.b.not_(in_place)
        with c.when(c.b.and_(staged, accumulate.differs(0))):
            _copy_tile(c, rows, row, some, block, tile_blocks, to_stage=True)
        ys = c.choose(staged, rows.stage, rows.y_table + row * 8)
        write_tile(row, ys, c.choose(staged, 0, block * LINE_BYTES))
        with c.when(staged):
            _copy_tile(c, rows, row, some, block, tile_blocks, to_stage=False)


def _copy_tile(
    c: Code, rows: Rows, row: Number, count: Number, block: Number, tile_blocks: int, to_stage: bool
) -> None:
    """Rows of a tile of C to the stage or back."""
    first, step = block * BLOCK_ROWS, c.parameter(P.C_COLUMN)
    columns = c.least(c.parameter(P.COLUMNS) - first, tile_blocks * BLOCK_ROWS)
    lines = c.choose(step.equals(4), columns // BLOCK_ROWS, 0)
    with c.loop(0, count) as i:
        y = c.load_number(rows.y_table + (row + i) * 8) + first * step
        place = rows.stage + i * STAGED_ROW_BYTES + STAGE_TABLE_BYTES
        for kind, start, end, size_bytes, place_step in (
            (I32.llvm, 0, lines, LINE_BYTES, LINE_BYTES),
            (WORD, lines * BLOCK_ROWS, columns, step, 4),
        ):
            with c.loop(start, end) as j:
                source, target = y + j * size_bytes, place + j * place_step
                if not to_stage:
                    source, target = target, source
                c.store(c.load(source, kind), target)
