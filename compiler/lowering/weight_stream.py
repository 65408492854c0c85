"""How the strips of a weight come to SRAM: a header and rows at once, or the header and then k-tiles.

In a loop over strips they come when the loop asks for them. They can also be on their way before it begins (`load_ahead`): as many
strips, or k-tiles of the first strip, as there are turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.emit.strip_layout import StripLayout, stored_columns, stored_row_bytes, stored_rows
from compiler.formats import WeightFormat
from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.plan import StripShape
from compiler.sizes import to_granules

SPARSE_UNIT = 8
"""Columns of 2:4 sparse rows whose values and positions are whole bytes."""
TILE_TURNS = 2


@dataclass(frozen=True)
class Turns:
    """Room for each turn, `size_bytes` each, from `start` on in a buffer."""

    alloc: SSAValue
    size_bytes: int
    start: int = 0

    def place(self, b: TileBuilder, turn: Index) -> Place:
        return Place("sram", self.alloc, b.add(b.mul(turn, self.size_bytes), self.start))


@dataclass(frozen=True)
class Room:
    """What a buffer must hold: bytes of a turn, and how many turns."""

    label: str
    turn_bytes: int
    turns: int

    @property
    def size_bytes(self) -> int:
        return self.turns * self.turn_bytes

    def at(self, alloc: SSAValue, start: int = 0) -> Turns:
        return Turns(alloc, self.turn_bytes, start)


@dataclass(frozen=True)
class Tile:
    """Columns of a strip in SRAM: the first one and how many, of how many groups, `start` bytes into a buffer, `row_bytes` a row."""

    place: Place
    start: int
    first: Index
    count: Index
    groups: Index
    row_bytes: Index


@dataclass(frozen=True)
class Strip:
    """The columns of one iteration: the first one and how many, at most `rows`. `turn`: which half of the buffers it has, 0 or 1."""

    rows: int
    first: Index
    count: Index
    turn: Index


def layout_of(op: slmq.MatmulOp, rows: int) -> StripLayout:
    """Of strips of so many rows."""
    return StripLayout(op.weight_format, rows, op.columns, op.bias is not None)


class WeightStream:
    """The weight of one matmul of a loop over strips. `turns`: how many strips are worked on at once, 1 or 2.

    `held` is the room for what stays as long as the strip: all of it, or its header (None: it has none). `tiles` is that for k-tiles;
    None: a stream that double-buffer makes a pair of.
    """

    def __init__(self, b: TileBuilder, op: slmq.MatmulOp, shape: StripShape, turns: int):
        self.b, self.op, self.shape, self.turns = b, op, shape, turns
        self.form: WeightFormat = op.weight_format
        self.layout = layout_of(op, shape.rows)
        self.is_whole = shape.k_tile == op.columns
        self.unit = self.form.group or (SPARSE_UNIT if self.form.sparse else 1)
        """k-tiles are cut between units: the fewest columns of whole bytes."""
        self.most, self.total = shape.k_tile // self.unit, stored_columns(self.form, op.columns) // self.unit
        self.held: Turns | None = None
        self.tiles: Turns | None = None
        self.is_ahead = False

    @property
    def held_room(self) -> Room:
        """0 bytes for k-tiles without a header."""
        if self.is_whole:
            return Room("weights", to_granules(self.layout.strip_bytes), self.turns)
        return Room("strip_header", to_granules(self.layout.header_bytes), self.turns)

    @property
    def tile_bytes(self) -> int:
        return self.shape.rows * self.most * self.form.row_bytes(self.unit)

    def hold(self) -> None:
        """A buffer for what comes when the loop asks for it."""
        room = self.held_room
        if self.held is None and room.size_bytes:
            self.held = room.at(self.b.alloc(room.label, room.size_bytes))

    def held_place(self, turn: Index) -> Place | None:
        return None if self.held is None else self.held.place(self.b, turn)

    # Ahead of the loop

    def rooms(self) -> list[Room]:
        """What `go_ahead` is given, in this order."""
        tiles = [] if self.is_whole else [Room("weights", to_granules(self.tile_bytes), TILE_TURNS)]
        return [room for room in (self.held_room, *tiles) if room.size_bytes]

    def go_ahead(self, given: Sequence[Turns]) -> None:
        """The first loads will be on their way before the loop begins."""
        self.is_ahead = True
        if not self.is_whole:
            *given, self.tiles = given
        self.held = given[0] if given else None

    def strips_ahead(self) -> int:
        return self.turns if self.is_whole else 1

    def load_ahead(self, base: Index, number: int) -> None:
        """The strip of this number of those that come ahead; `base`: the first one in DRAM."""
        b, rows = self.b, self.shape.rows
        strip = Strip(rows, number * rows, min(rows, self.op.rows - number * rows), number)
        offset = b.add(base, number * self.layout.strip_bytes)
        if self.is_whole:
            self.load_strip(offset, strip)
            return
        self.load_header(offset, strip)
        offset = b.add(offset, self.layout.header_bytes)
        for index, first in enumerate(range(0, min(self.total, TILE_TURNS * self.most), self.most)):
            size_bytes = b.mul(b.mul(self.units(first), self.form.row_bytes(self.unit)), self.stored(strip))
            assert self.tiles is not None
            self.load(self.tiles.place(b, index), offset, size_bytes)
            offset = b.add(offset, size_bytes)

    def unless_ahead(self, position: Index, limit: int, end: int, load: Callable[[], None]) -> None:
        """Loads what comes at a position of the loop, unless it is below `limit`: then it is there. `end`: of all positions."""
        if self.is_ahead and limit >= end:
            return
        if not self.is_ahead or (isinstance(position, int) and position >= limit):
            load()
        elif not isinstance(position, int):
            self.b.when(self.b.compare("sge", position, limit), load)

    # In the loop

    def stored(self, strip: Strip) -> Index:
        """Rows of the strip with those that fill its last block."""
        total = stored_rows(self.form, self.op.rows)
        return strip.rows if total % strip.rows == 0 else self.b.least(self.b.sub(total, strip.first), strip.rows)

    def units(self, first: Index) -> Index:
        """Of the k-tile from a unit on."""
        return self.most if self.total % self.most == 0 else self.b.least(self.b.sub(self.total, first), self.most)

    def load(self, target: Place, offset: Index, size_bytes: Index) -> None:
        """A contiguous run of WEIGHT."""
        b, source = self.b, Place("weight", offset=offset)
        b.load(b.view(target, "u8", [size_bytes], [1]), b.view(source, "u8", [size_bytes], [1]))

    def load_strip(self, offset: Index, strip: Strip) -> None:
        """Header and rows, one run."""
        b, row_bytes, place = self.b, stored_row_bytes(self.form, self.op.columns), self.held_place(strip.turn)
        assert place is not None
        self.load(place, offset, b.add(b.mul(self.stored(strip), row_bytes), self.layout.header_bytes))

    def load_header(self, offset: Index, strip: Strip) -> None:
        if (place := self.held_place(strip.turn)) is not None:
            self.load(place, offset, self.layout.header_bytes)

    def whole(self, offset: Index, strip: Strip) -> Tile:
        """All columns of a strip."""
        rows, place = self.shape.rows, self.held_place(strip.turn)
        assert place is not None
        self.unless_ahead(strip.first, self.turns * rows, self.op.rows, lambda: self.load_strip(offset, strip))
        row_bytes = stored_row_bytes(self.form, self.op.columns)
        return Tile(place, self.layout.header_bytes, 0, self.op.columns, self.layout.groups, row_bytes)

    def each_tile(self, offset: Index, strip: Strip, work: Callable[[Tile, SSAValue], None]) -> None:
        """Brings a strip's header, and calls `work` with each of its k-tiles and the unit it begins with."""
        b, columns, rows = self.b, self.op.columns, self.op.rows
        unit_bytes = self.form.row_bytes(self.unit)
        self.unless_ahead(strip.first, 1, rows, lambda: self.load_header(offset, strip))
        end = self.total if rows <= self.shape.rows else rows * self.total
        is_even = -(-self.total // self.most) % 2 == 0

        def tile(first: SSAValue, carried: list[SSAValue]) -> list[Index]:
            units = self.units(first)
            row_bytes = b.mul(units, unit_bytes)
            size_bytes = b.mul(row_bytes, self.stored(strip))
            place = self.tile_place(carried[1:])
            position = b.add(b.mul(strip.first, self.total), first)
            self.unless_ahead(
                position, TILE_TURNS * self.most, end, lambda: self.load(place, carried[0], size_bytes)
            )  # fmt: skip
            start = b.mul(first, self.unit)
            is_exact = self.total * self.unit == columns
            count = b.mul(units, self.unit) if is_exact else b.least(b.sub(columns, start), self.shape.k_tile)
            work(Tile(place, 0, start, count, units, row_bytes), first)
            return [b.add(carried[0], size_bytes), *[b.sub(1, turn) for turn in carried[1:]]]

        turns = [] if self.tiles is None else [0 if is_even else strip.turn]
        b.loop(0, self.total, self.most, tile, [b.add(offset, self.layout.header_bytes), *turns])

    def tile_place(self, turn: Sequence[SSAValue]) -> Place:
        if self.tiles is not None:
            return self.tiles.place(self.b, turn[0])
        return Place("sram", self.b.alloc("weights", self.tile_bytes, stream=True))
