"""Register tiles of products of int8 rows with int8 or int4 weights in quads.

y[m,n] (+)= sum_k x[m,k] w[n,k] and, with groups, acc = acc + (f32(p_g) * s_g), g ascending (docs/numerics.md, section 3). The processor
multiplies unsigned by signed bytes: a weight is w + 128 (its sign bit flipped) or the nibble w + 8, and sums start at -128 or -8
times the sum of the x. Sums of int32 are exact in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from simulator.fast.kernels.matrix_code import (
    LINE_BYTES,
    addresses,
    canonical,
    clear,
    dot_quads,
    prefetch,
    spread,
    zeros,
)
from simulator.fast.kernels.matrix_emit import WORD, Code, Number
from simulator.fast.kernels.vectors import BYTES, F32, I32, constant

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
    starts: what the int32 sums of each of its rows and groups start at, `groups` of them in a row.
    """

    w: Number
    block_bytes: Number
    xs: Number
    ys: Number
    y_offset: Number
    starts: Number
    groups: Number


class Sums:
    """Sums of int32 of a tile. A single row has several sets, so that no addition waits for the one before."""

    def __init__(self, c: Code, tile: Tile) -> None:
        self.c, self.tile = c, tile
        self.sets = max(1, min(MAX_SETS, 8 // (tile.rows * tile.blocks)))
        self.variables = zeros(c, I32.llvm, tile.rows * tile.blocks * self.sets)

    def start(self, starts: Number, step: Number) -> None:
        """The sums of a row start at an int32 number; `step`: bytes to that of the next row."""
        clear(self.variables, I32.llvm)
        for row in range(self.tile.rows):
            start = spread(self.c, self.c.load(starts + step * row, WORD), I32.llvm)
            for block in range(self.tile.blocks):
                self.variables[self._first(row, block)].value = start

    def add_line(self, blocks: list[Number], x: list[Number], line: Number, turn: int) -> None:
        """Adds the products with the line of 64 bytes of each block; `turn` chooses the set."""
        c, tile = self.c, self.tile
        places = [address + line * LINE_BYTES for address in blocks]
        if tile.rows == 1:
            for place in places:
                prefetch(c, place)
        weights = [self._weights(place) for place in places]
        for quad in range(tile.quads):
            for row, address in enumerate(x):
                four = c.load(address + line * tile.line_terms + 4 * quad, WORD)
                factors = spread(c, four, I32.llvm)
                for block in range(tile.blocks):
                    variable = self.variables[self._first(row, block) + (turn * tile.quads + quad) % self.sets]
                    variable.value = dot_quads(c, variable.value, weights[block][quad], factors)

    def _weights(self, place: Number) -> list[Any]:
        """The unsigned quads of a line, in the order of k."""
        b = self.c.b
        if self.tile.bits == 8:
            return [b.xor(self.c.load(place, BYTES.llvm), constant(BYTES, -128))]
        stored, low = self.c.load(place, I32.llvm), constant(I32, 0x0F0F0F0F)
        return [b.and_(stored, low), b.and_(b.lshr(stored, constant(I32, 4)), low)]

    def _first(self, row: int, block: int) -> int:
        return (row * self.tile.blocks + block) * self.sets

    def value(self, row: int, block: int) -> Any:
        first = self._first(row, block)
        total = self.variables[first].value
        for variable in self.variables[first + 1 : first + self.sets]:
            total = self.c.b.add(total, variable.value)
        return total


def write_integer_tile(c: Code, tile: Tile, place: Place, lines: Number, accumulate: Number) -> None:
    """y (+)= x w, modulo 2^32, over `lines` lines of 64 bytes of each block."""
    x = addresses(c, place.xs, tile.rows, 0)
    blocks = [place.w + place.block_bytes * block for block in range(tile.blocks)]
    sums = Sums(c, tile)
    sums.start(place.starts, c.number(4))
    whole = lines // UNROLLED_LINES * UNROLLED_LINES
    with c.loop(0, whole, UNROLLED_LINES) as first:
        for turn in range(UNROLLED_LINES):
            sums.add_line(blocks, x, first + turn, turn)
    with c.loop(whole, lines) as line:
        sums.add_line(blocks, x, line, 0)
    y = addresses(c, place.ys, tile.rows, place.y_offset)
    adds = accumulate.differs(0)
    for row in range(tile.rows):
        for block in range(tile.blocks):
            at = y[row] + LINE_BYTES * block
            before = c.b.select(adds, c.load(at, I32.llvm), ir.Constant(I32.llvm, None))
            c.store(c.b.add(before, sums.value(row, block)), at)


def write_grouped_tile(
    c: Code, tile: Tile, place: Place, group_lines: Number, unrolled: int, scales: Number, accumulate: Number
) -> None:
    """acc = acc + (f32(p_g) * s_g). `group_lines`: lines of a group, a multiple of the `unrolled` ones.

    scales: f32 [blocks][groups][16].
    """
    b, numbers = c.b, [(row, block) for row in range(tile.rows) for block in range(tile.blocks)]
    x = addresses(c, place.xs, tile.rows, 0)
    blocks = [place.w + place.block_bytes * block for block in range(tile.blocks)]
    y = addresses(c, place.ys, tile.rows, place.y_offset)
    results = dict(zip(numbers, zeros(c, F32.llvm, len(numbers)), strict=True))
    with c.when(accumulate.differs(0)):
        for (row, block), result in results.items():
            result.value = c.load(y[row] + LINE_BYTES * block, F32.llvm)
    sums = Sums(c, tile)
    with c.loop(0, place.groups) as group:
        sums.start(place.starts + group * 4, place.groups * 4)
        with c.loop(group * group_lines, (group + 1) * group_lines, unrolled) as first:
            for turn in range(unrolled):
                sums.add_line(blocks, x, first + turn, turn)
        factors = [
            c.load(scales + place.groups * (LINE_BYTES * block) + group * LINE_BYTES, F32.llvm)
            for block in range(tile.blocks)
        ]
        for (row, block), result in results.items():
            exact = b.sitofp(sums.value(row, block), F32.llvm)
            result.value = b.fadd(result.value, b.fmul(exact, factors[block]))
    for (row, block), result in results.items():
        c.store(canonical(c, result.value), y[row] + LINE_BYTES * block)
