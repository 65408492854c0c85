"""Products of int8 rows with quads of int8 in the tile registers of AMX: the sums of docs/numerics.md, section 3, exact in any order.

A tile register holds 16 rows of A with 64 terms each, or 64 terms of 16 rows of B. Rows that a tile of A does not have are
computed from what its place held before and are not kept.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.fast.kernels.amx import (
    ROW_BYTES,
    TILE_BYTES,
    TILE_ROWS,
    Shape,
    add_products,
    clear_tile,
    load_tile,
    store_tile,
)
from simulator.fast.kernels.conversion import to_f32
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, I32, WORD, Value
from simulator.fast.kernels.matrix_code import LINE_BYTES, SECOND_CACHE, addresses, prefetch, zeros

SUM_TILES, A_TILES, B_TILES = (0, 1, 2, 3), (4, 5), (6, 7)
STORED_AFTER, ADDED_AFTER, RING_TILES = 3, 5, 8
"""Of a group: its sums are stored when the products of so many later ones are under way, and added to C so many after them."""
SUMS_BYTES = RING_TILES * TILE_BYTES


@dataclass(frozen=True)
class Place:
    """Where a tile is. w: its first block, w_step bytes before the next; x: its first row of A, x_step bytes before the next; ys: a
    table of the addresses of its rows of C, moved by y_offset; sums: SUMS_BYTES to use; ahead: weights that will be wanted, from which on
    so many lines are asked for with each 64 terms or each group.
    """

    w: Value
    w_step: Value
    x: Value
    x_step: Value
    ys: Value
    y_offset: Value
    sums: Value
    ahead: Value
    lines_ahead: int

    def ask_ahead(self, code: Code, turn: Value) -> None:
        for line in range(self.lines_ahead):
            prefetch(code, self.ahead + (turn * self.lines_ahead + line) * LINE_BYTES, SECOND_CACHE)


def product_shapes(rows: tuple[Value | int, Value | int]) -> list[Shape]:
    """For write_product_tile; rows: of the first 16 rows of A and of the other 16."""
    sums = [(rows[tile // 2], ROW_BYTES) for tile in SUM_TILES]
    return [*sums, *((count, ROW_BYTES) for count in rows), *((TILE_ROWS, ROW_BYTES) for _ in B_TILES)]


def write_product_tile(
    code: Code, tile: tuple[int, int], place: Place, steps: Value, tail: Value, rows: Value, accumulate: Value
) -> None:
    """y (+)= x w, modulo 2^32. tile: how many times 16 rows of A, and blocks, each 1 or 2. `steps`: of 64 terms.

    tail: the address of the last 64 terms of each block, or 0 if they lie behind the others. rows: how many are kept.
    """
    numbers = [(row, block) for row in range(tile[0]) for block in range(tile[1])]
    for row, block in numbers:
        clear_tile(code, SUM_TILES[2 * row + block])

    def add_step(k: Value, w: list[Value]) -> None:
        for row, block in numbers:
            if row == 0:
                load_tile(code, B_TILES[block], w[block], ROW_BYTES)
            if block == 0:
                load_tile(code, A_TILES[row], place.x + place.x_step * (row * TILE_ROWS) + k * ROW_BYTES, place.x_step)
            add_products(code, SUM_TILES[2 * row + block], A_TILES[row], B_TILES[block])

    has_tail = ~tail.equals(0)
    whole = steps - has_tail.cast("zext", "i64")
    with code.loop(0, whole) as k:
        add_step(k, [place.w + place.w_step * block + k * TILE_BYTES for block in range(tile[1])])
        place.ask_ahead(code, k)
    with code.when(has_tail):
        add_step(whole, [tail + TILE_BYTES * block for block in range(tile[1])])
    step = LINE_BYTES * tile[1]
    for row, block in numbers:
        store_tile(code, SUM_TILES[2 * row + block], place.sums + (step * TILE_ROWS * row + LINE_BYTES * block), step)
    with code.loop(0, rows) as row:
        y = code.load(WORD, place.ys + row * 8) + place.y_offset
        for block in range(tile[1]):
            at = y + LINE_BYTES * block
            before = accumulate.choose(code.load(I32, at), code.constant(I32, 0))
            code.store(at, before + code.load(I32, place.sums + row * step + LINE_BYTES * block))


def group_shapes(rows: Value | int, terms: int) -> list[Shape]:
    """For write_group_tile; `terms`: of a product, 32 or 64."""
    return [
        *((rows, ROW_BYTES) for _ in SUM_TILES),
        *((rows, terms) for _ in A_TILES),
        *((terms // 4, ROW_BYTES) for _ in B_TILES),
    ]


def write_group_tile(
    code: Code, rows: int, place: Place, terms: int, group: tuple[Value, Value], scales: Value, accumulate: Value
) -> None:
    """acc = acc + (f32(p_g) * s_g) of `rows` rows and one block. terms: of a product, 32 or 64; group: products of a group, and how
    many groups there are; scales: f32 [groups][16].

    The processor is at several groups at a time: sums that were just stored cannot be loaded soon.
    """
    products, groups = group
    y = addresses(code, place.ys, rows, place.y_offset)
    results = zeros(code, F32, rows)
    with code.when(accumulate):
        for result, at in zip(results, y, strict=True):
            result.set(code.load(F32, at))

    def slot(number: Value) -> Value:
        return place.sums + (number & (RING_TILES - 1)) * TILE_BYTES

    def multiply(number: Value, turn: int) -> None:
        total, a, b = SUM_TILES[turn], A_TILES[turn % 2], B_TILES[turn % 2]
        clear_tile(code, total)
        with code.loop(number * products, (number + 1) * products) as k:
            load_tile(code, a, place.x + k * terms, place.x_step)
            load_tile(code, b, place.w + k * (terms * TILE_ROWS), ROW_BYTES)
            add_products(code, total, a, b)
        place.ask_ahead(code, number)

    def add(number: Value) -> None:
        factor = code.load(F32, scales + number * LINE_BYTES)
        for row, result in enumerate(results):
            exact = code.load(I32, slot(number) + LINE_BYTES * row).cast("sitofp", "f32")
            result.set(result.get() + exact * factor)

    with code.loop(0, groups + ADDED_AFTER, len(SUM_TILES)) as first:
        for turn in SUM_TILES:
            number = first + turn
            with code.when(number < groups):
                multiply(number, turn)
            stored, added = number - STORED_AFTER, number - ADDED_AFTER
            with code.when((stored >= 0) & (stored < groups)):
                store_tile(code, SUM_TILES[(turn - STORED_AFTER) % len(SUM_TILES)], slot(stored), ROW_BYTES)
            with code.when((added >= 0) & (added < groups)):
                add(added)
    for result, at in zip(results, y, strict=True):
        code.store(at, to_f32(result.get()))
