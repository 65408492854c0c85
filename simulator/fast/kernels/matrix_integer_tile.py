"""Register tiles of products of int8 rows with int8 or int4 weights in quads.

y[m,n] (+)= sum_k x[m,k] w[n,k] and, with groups, acc = acc + (f32(p_g) * s_g), g ascending (docs/numerics.md, section 3). The processor
multiplies unsigned by signed bytes: a weight is w + 128 (its sign bit flipped) or the nibble w + 8, and sums start at -128 or -8
times the sum of the x. Sums of int32 are exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.fast.kernels.conversion import to_f32
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import F32, I32, Value
from simulator.fast.kernels.matrix_ahead import Ahead
from simulator.fast.kernels.matrix_code import (
    BYTES,
    LINE_BYTES,
    QUAD,
    SECOND_CACHE,
    addresses,
    clear,
    dot_quads,
    prefetch,
    zeros,
)
from simulator.fast.kernels.matrix_scales import ScaleReader

UNROLLED_LINES = 8
MAX_SETS = 4


@dataclass(frozen=True)
class Tile:
    """`rows` rows of A and `blocks` blocks of 16 rows of B with weights of `bits` bits."""

    rows: int
    blocks: int
    bits: int

    @property
    def quads(self) -> int:
        """Quads of k in a line of 64 bytes."""
        return 8 // self.bits

    @property
    def line_terms(self) -> int:
        return 4 * self.quads

    @property
    def excess(self) -> int:
        """How much is added to a weight to make it unsigned."""
        return 8 if self.bits == 4 else 128


@dataclass(frozen=True)
class Place:
    """Where a tile is. w: its first block; xs, ys: tables of the addresses of its rows, those of C moved by y_offset;
    starts: what the int32 sums of each of its rows and groups start at, `groups` of them in a row. `ahead`: where a single row
    asks for weights.
    """

    w: Value
    block_bytes: Value
    xs: Value
    ys: Value
    y_offset: Value
    starts: Value
    groups: Value
    ahead: Ahead | None = None


class Sums:
    """Sums of int32 of a tile. A single row has several sets, so that no addition waits for the one before."""

    def __init__(self, code: Code, tile: Tile) -> None:
        self.code, self.tile = code, tile
        self.sets = max(1, min(MAX_SETS, 8 // (tile.rows * tile.blocks)))
        self.variables = zeros(code, I32, tile.rows * tile.blocks * self.sets)

    def start(self, starts: Value, step: Value | int) -> None:
        """The sums of a row start at an int32 number; `step`: bytes to that of the next row."""
        clear(self.code, self.variables, I32)
        for row in range(self.tile.rows):
            start = self.code.load(QUAD, starts).spread()
            for block in range(self.tile.blocks):
                self.variables[self._first(row, block)].set(start)
            starts = starts + step

    def add_lines(self, place: Place, blocks: list[Value], x: list[Value], first: Value, count: int) -> None:
        """Adds the products with some lines of 64 bytes of each block."""
        distance = None if place.ahead is None else place.ahead.distance(first * LINE_BYTES)
        for turn in range(count):
            self._add_line(blocks, x, first + turn, turn, distance)

    def _add_line(self, blocks: list[Value], x: list[Value], line: Value, turn: int, distance: Value | None) -> None:
        """Those with the line of each block; `turn` chooses the set. distance: how far in front to ask for another one."""
        code, tile = self.code, self.tile
        places = [address + line * LINE_BYTES for address in blocks]
        if distance is not None:
            for place in places:
                prefetch(code, place + distance, SECOND_CACHE)
        weights = [self._weights(place) for place in places]
        for quad in range(tile.quads):
            for row, address in enumerate(x):
                factors = code.load(QUAD, address + line * tile.line_terms + 4 * quad).spread()
                for block in range(tile.blocks):
                    variable = self.variables[self._first(row, block) + (turn * tile.quads + quad) % self.sets]
                    variable.set(dot_quads(code, variable.get(), weights[block][quad], factors))

    def _weights(self, place: Value) -> list[Value]:
        """The unsigned quads of a line, in the order of k."""
        if self.tile.bits == 8:
            return [self.code.load(BYTES, place) ^ -128]
        stored = self.code.load(I32, place)
        return [stored & 0x0F0F0F0F, stored >> 4 & 0x0F0F0F0F]

    def _first(self, row: int, block: int) -> int:
        return (row * self.tile.blocks + block) * self.sets

    def value(self, row: int, block: int) -> Value:
        first = self._first(row, block)
        total = self.variables[first].get()
        for variable in self.variables[first + 1 : first + self.sets]:
            total = total + variable.get()
        return total


def write_integer_tile(code: Code, tile: Tile, place: Place, lines: Value, accumulate: Value) -> None:
    """y (+)= x w, modulo 2^32, over `lines` lines of 64 bytes of each block."""
    x = addresses(code, place.xs, tile.rows)
    blocks = [place.w + place.block_bytes * block for block in range(tile.blocks)]
    sums = Sums(code, tile)
    sums.start(place.starts, 4)
    whole = lines // UNROLLED_LINES * UNROLLED_LINES
    with code.loop(0, whole, UNROLLED_LINES) as first:
        sums.add_lines(place, blocks, x, first, UNROLLED_LINES)
    with code.loop(whole, lines) as line:
        sums.add_lines(place, blocks, x, line, 1)
    y = addresses(code, place.ys, tile.rows, place.y_offset)
    for row in range(tile.rows):
        for block in range(tile.blocks):
            at = y[row] + LINE_BYTES * block
            before = accumulate.choose(code.load(I32, at), code.constant(I32, 0))
            code.store(at, before + sums.value(row, block))


def write_grouped_tile(
    code: Code, tile: Tile, place: Place, group_lines: Value, unrolled: int, scales: ScaleReader, accumulate: Value
) -> None:
    """acc = acc + (f32(p_g) * s_g). `group_lines`: lines of a group, a multiple of the `unrolled` ones."""
    numbers = [(row, block) for row in range(tile.rows) for block in range(tile.blocks)]
    x = addresses(code, place.xs, tile.rows)
    blocks = [place.w + place.block_bytes * block for block in range(tile.blocks)]
    y = addresses(code, place.ys, tile.rows, place.y_offset)
    results = dict(zip(numbers, zeros(code, F32, len(numbers)), strict=True))
    with code.when(accumulate):
        for (row, block), result in results.items():
            result.set(code.load(F32, y[row] + LINE_BYTES * block))
    sums = Sums(code, tile)
    with code.loop(0, place.groups) as group:
        sums.start(place.starts + group * 4, place.groups * 4)
        with code.loop(group * group_lines, (group + 1) * group_lines, unrolled) as first:
            sums.add_lines(place, blocks, x, first, unrolled)
        factors = [scales(i, group) for i in range(tile.blocks)]
        for (row, block), result in results.items():
            exact = sums.value(row, block).cast("sitofp", "f32")
            result.set(result.get() + exact * factors[block])
    for (row, block), result in results.items():
        code.store(y[row] + LINE_BYTES * block, to_f32(result.get()))
