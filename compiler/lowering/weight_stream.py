"""How the strips of a weight come to SRAM: with the numbers of their groups at once, or these and then k-tiles, or k-tiles each with
its own.

In a loop over strips they come when the loop asks for them. The first ones can also be on their way before it begins (`load_ahead`): as
many strips, or k-tiles of the first strip, as there are turns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.ir import SSAValue

from compiler.dialects import slmq
from compiler.emit.weight_layout import WeightLayout, stored_columns, stored_row_bytes, stored_rows
from compiler.formats import WeightFormat
from compiler.lowering.builder import Index, Place, TileBuilder
from compiler.lowering.plan import StripShape
from compiler.lowering.strip_buffers import TILE_TURNS, Room, Strip, Tile, Turns
from compiler.sizes import to_granules
from isa.spec import BLOCK_ROWS

SPARSE_UNIT = 8
"""Columns of 2:4 sparse rows whose values and positions are whole bytes."""


def layout_of(op: slmq.MatmulOp, stored_tile: int) -> WeightLayout:
    """`stored_tile`: of sparse rows in DRAM."""
    return WeightLayout(op.weight_format, op.rows, op.columns, op.bias is not None, stored_tile)


class WeightStream:
    """The weight of one matmul of a loop over strips. `turns`: how many strips are worked on at once, 1 or 2.

    `held` is the room for what stays as long as the strip: all of it, or the numbers of its groups (None: nothing). `tiles` is that
    for k-tiles; None: a stream that double-buffer makes a pair of.
    """

    def __init__(self, b: TileBuilder, op: slmq.MatmulOp, shape: StripShape, turns: int):
        self.b, self.op, self.shape, self.turns = b, op, shape, turns
        self.form: WeightFormat = op.weight_format
        self.layout = layout_of(op, shape.k_tile)
        self.is_whole = shape.k_tile == op.columns
        self.unit = self.form.group or (SPARSE_UNIT if self.form.sparse else 1)
        """k-tiles are cut between units: the fewest columns of whole bytes."""
        self.most, self.total = shape.k_tile // self.unit, stored_columns(self.form, op.columns) // self.unit
        self.held: Turns | None = None
        self.tiles: Turns | None = None
        self.most_ahead = turns

    @property
    def blocks(self) -> int:
        """Of a strip."""
        return self.shape.rows // BLOCK_ROWS

    @property
    def has_blocks_of_all(self) -> bool:
        """Whether a strip in SRAM is what it is in DRAM: whole blocks with the numbers of their groups in front."""
        return self.is_whole and not self.form.sparse

    @property
    def strip_bytes(self) -> int:
        """Of blocks, or of sparse rows of a k-tile: from one strip to the next in DRAM."""
        if self.form.sparse:
            return self.shape.rows * self.form.row_bytes(self.shape.k_tile)
        return self.blocks * self.layout.block_bytes

    @property
    def numbers_bytes(self) -> int:
        """Of the groups of a strip."""
        return self.blocks * self.layout.block_numbers_bytes

    @property
    def numbers_stride(self) -> int:
        """From those of a block to those of the next one, in SRAM."""
        return self.layout.block_bytes if self.has_blocks_of_all else self.layout.block_numbers_bytes

    @property
    def has_numbers_by_tile(self) -> bool:
        """Whether the numbers of groups come with each k-tile: those of all groups, for as many strips as are worked on, would take more
        room than the tiles. Offsets are needed when all products are there."""
        if self.is_whole or self.form.sparse or self.op.sums is not None:
            return False
        return self.turns * self.numbers_bytes > TILE_TURNS * self.tile_rows_bytes

    @property
    def unit_numbers_bytes(self) -> int:
        """Of the scales of one group in a block."""
        return BLOCK_ROWS * self.form.scale_size_bytes

    @property
    def held_room(self) -> Room:
        """0 bytes for k-tiles without groups, or with the numbers of theirs."""
        if self.has_blocks_of_all:
            return Room("weights", to_granules(self.strip_bytes), self.turns)
        if self.is_whole:
            return Room("weights", to_granules(self.numbers_bytes + self.strip_bytes), self.turns)
        return Room("strip_header", 0 if self.has_numbers_by_tile else to_granules(self.numbers_bytes), self.turns)

    @property
    def tile_rows_bytes(self) -> int:
        """Of the rows of a k-tile."""
        return self.shape.rows * self.most * self.form.row_bytes(self.unit)

    @property
    def tile_bytes(self) -> int:
        """Of a k-tile: its rows, then the numbers that come with it."""
        if not self.has_numbers_by_tile:
            return self.tile_rows_bytes
        return to_granules(self.tile_rows_bytes) + self.blocks * self.most * self.unit_numbers_bytes

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
        if self.held is not None:
            return []
        tiles = [] if self.is_whole else [Room("weights", to_granules(self.tile_bytes), TILE_TURNS)]
        return [room for room in (self.held_room, *tiles) if room.size_bytes]

    def go_ahead(self, given: Sequence[Turns]) -> None:
        """The first loads will be on their way before the loop begins."""
        if not self.is_whole:
            *given, self.tiles = given
        self.held = given[0] if given else self.held

    def take_turns_with(self, before: WeightStream, strips: int) -> None:
        """Goes on in the buffers of another stream, behind its strips; one strip comes ahead, while the last one of these is multiplied."""
        assert before.held is not None
        self.held, self.most_ahead = before.held.behind(strips), 1

    @property
    def tiles_of_strip(self) -> int:
        return 1 if self.is_whole else -(-self.total // self.most)

    def strips_ahead(self) -> int:
        """How many strips of a group whose products are made side by side come ahead, or k-tiles of so many."""
        return self.most_ahead if self.is_whole else 1

    def load_ahead(self, base: Index, strip: Strip) -> None:
        """A strip that comes ahead, or its first k-tiles."""
        b = self.b
        if self.is_whole:
            self.load_strip(base, strip)
            return
        self.load_numbers(base, strip)
        for index, first in enumerate(range(0, min(self.total, TILE_TURNS * self.most), self.most)):
            assert self.tiles is not None
            self.load_tile(self.tiles.place(b, index), base, first, strip)

    def tiles_ahead(self, strip: Strip) -> list[tuple[Tile, Index | None]]:
        """All k-tiles of a strip that came ahead whole, each with the unit it begins with; None: there is only one."""
        if self.is_whole:
            return [(self.whole(strip), None)]
        return [(self.tile_ahead(index, first), first) for index, first in enumerate(range(0, self.total, self.most))]

    def tile_ahead(self, index: int, first: int) -> Tile:
        """A k-tile of the first strip, from a unit on."""
        assert self.tiles is not None
        units, start = min(self.total - first, self.most), first * self.unit
        count = min(self.op.columns - start, units * self.unit)
        return Tile(self.tiles.place(self.b, index), 0, start, count, units, self.tile_stride(units))

    def tile_stride(self, units: Index) -> Index:
        """From block to block of a k-tile of so many units, or from sparse row to sparse row."""
        row_bytes = self.b.mul(units, self.form.row_bytes(self.unit))
        return row_bytes if self.form.sparse else self.b.mul(row_bytes, BLOCK_ROWS)

    # In the loop

    def stored(self, strip: Strip) -> Index:
        """Rows of the strip with those that fill its last block."""
        if isinstance(strip.count, int):
            return stored_rows(self.form, strip.count)
        total = stored_rows(self.form, self.op.rows)
        return strip.rows if total % strip.rows == 0 else self.b.least(self.b.sub(total, strip.first), strip.rows)

    def blocks_of(self, strip: Strip) -> Index:
        """Blocks of the strip."""
        if self.form.sparse and not isinstance(strip.count, int):
            return self.b.div(self.b.add(self.stored(strip), BLOCK_ROWS - 1), BLOCK_ROWS)
        stored = self.stored(strip)
        return -(-stored // BLOCK_ROWS) if isinstance(stored, int) else self.b.div(stored, BLOCK_ROWS)

    def units(self, first: Index) -> Index:
        """Of the k-tile from a unit on."""
        return self.most if self.total % self.most == 0 else self.b.least(self.b.sub(self.total, first), self.most)

    def load(self, target: Place, offset: Index, size_bytes: Index) -> None:
        """A contiguous run of WEIGHT."""
        b, source = self.b, Place("weight", offset=offset)
        b.load(b.view(target, "u8", [size_bytes], [1]), b.view(source, "u8", [size_bytes], [1]))

    def load_parts(self, target: Place, offset: Index, size_bytes: Index, blocks: Index) -> None:
        """Equal parts of some blocks of WEIGHT, one behind the other."""
        b, source, extents = self.b, Place("weight", offset=offset), [size_bytes, blocks]
        b.load(
            b.view(target, "u8", extents, [1, size_bytes]), b.view(source, "u8", extents, [1, self.layout.block_bytes])
        )

    def block_offset(self, base: Index, strip: Strip) -> Index:
        """Where the strip begins in DRAM, in the first k-tile of sparse rows."""
        b, row_bytes = self.b, self.strip_bytes // self.shape.rows
        return b.add(base, b.add(b.mul(strip.first, row_bytes), self.layout.blocks_start))

    def load_strip(self, base: Index, strip: Strip) -> None:
        """Whole rows, with the numbers of their groups."""
        b, layout, place = self.b, self.layout, self.held_place(strip.turn)
        assert place is not None
        offset = self.block_offset(base, strip)
        if self.has_blocks_of_all:
            self.load(place, offset, b.mul(self.blocks_of(strip), layout.block_bytes))
            return
        self.load_numbers(base, strip)
        rows = Place(place.space, place.buffer, b.add(place.offset, self.numbers_bytes))
        self.load(rows, offset, b.mul(self.stored(strip), stored_row_bytes(self.form, self.op.columns)))

    def load_numbers(self, base: Index, strip: Strip) -> None:
        """Of the groups of a strip, unless they come with its k-tiles."""
        b, layout, place = self.b, self.layout, self.held_place(strip.turn)
        if place is None or not self.numbers_bytes:
            return
        blocks = self.blocks_of(strip)
        if not self.form.sparse:
            self.load_parts(place, self.block_offset(base, strip), layout.block_numbers_bytes, blocks)
            return
        first = b.add(b.mul(strip.first, layout.block_numbers_bytes // BLOCK_ROWS), layout.numbers_start)
        self.load(place, b.add(base, first), b.mul(blocks, layout.block_numbers_bytes))

    def load_tile(self, target: Place, base: Index, first: Index, strip: Strip) -> None:
        """The k-tile of a strip from a unit on."""
        b, unit_bytes, units = self.b, self.form.row_bytes(self.unit), self.units(first)
        if self.form.sparse:  # all rows of a k-tile follow each other
            before = b.mul(first, unit_bytes * self.op.rows)
            inside = b.mul(strip.first, b.mul(units, unit_bytes))
            offset = b.add(base, b.add(b.add(before, inside), self.layout.blocks_start))
            self.load(target, offset, b.mul(b.mul(units, unit_bytes), self.stored(strip)))
            return
        if self.has_numbers_by_tile:
            self.load_tile_numbers(target, base, first, strip)
        offset = b.add(self.block_offset(base, strip), self.layout.block_numbers_bytes)
        offset = b.add(offset, b.mul(first, unit_bytes * BLOCK_ROWS))
        self.load_parts(target, offset, b.mul(units, unit_bytes * BLOCK_ROWS), self.blocks_of(strip))

    def load_tile_numbers(self, target: Place, base: Index, first: Index, strip: Strip) -> None:
        """Of the groups of a k-tile, from a group on."""
        b, size_bytes = self.b, self.unit_numbers_bytes
        offset = b.add(self.block_offset(base, strip), b.mul(first, size_bytes))
        self.load_parts(self.tile_numbers(target), offset, b.mul(self.units(first), size_bytes), self.blocks_of(strip))

    def tile_numbers(self, place: Place) -> Place:
        """Where the numbers are that come with a k-tile."""
        return Place(place.space, place.buffer, self.b.add(place.offset, to_granules(self.tile_rows_bytes)))

    def scales(self, strip: Strip, tile: Tile, first: Index) -> tuple[Place, Index, Index]:
        """Those of a tile's groups: a place, the bytes behind it where they begin, and from those of a block to those of the next one.
        `first`: the tile's first group."""
        size_bytes = self.unit_numbers_bytes
        if self.has_numbers_by_tile:
            return self.tile_numbers(tile.place), 0, self.b.mul(tile.groups, size_bytes)
        place = self.held_place(strip.turn)
        assert place is not None
        return place, self.b.mul(first, size_bytes), self.numbers_stride

    def whole(self, strip: Strip) -> Tile:
        """All columns of a strip that has been loaded."""
        place, layout = self.held_place(strip.turn), self.layout
        assert place is not None
        if self.has_blocks_of_all:
            start, stride = layout.block_numbers_bytes, layout.block_bytes
        else:
            start, stride = self.numbers_bytes, stored_row_bytes(self.form, self.op.columns)
        return Tile(place, start, 0, self.op.columns, layout.groups, stride)

    def each_tile(self, base: Index, strip: Strip, work: Callable[[Tile, SSAValue], None], is_ahead: bool) -> None:
        """Loads a strip's k-tiles, and calls `work` with each of them and the unit it begins with. `is_ahead`: the first ones of the first
        strip are there."""
        b, columns = self.b, self.op.columns
        end = self.total if isinstance(strip.first, int) else self.op.rows * self.total
        is_even = -(-self.total // self.most) % 2 == 0

        def tile(first: SSAValue, turns: list[SSAValue]) -> list[Index]:
            units, place = self.units(first), self.tile_place(turns)
            if not is_ahead:
                self.load_tile(place, base, first, strip)
            elif end > TILE_TURNS * self.most:
                position = b.add(b.mul(strip.first, self.total), first)
                later = b.compare("sge", position, TILE_TURNS * self.most)
                b.when(later, lambda: self.load_tile(place, base, first, strip))
            start = b.mul(first, self.unit)
            is_exact = self.total * self.unit == columns
            count = b.mul(units, self.unit) if is_exact else b.least(b.sub(columns, start), self.shape.k_tile)
            work(Tile(place, 0, start, count, units, self.tile_stride(units)), first)
            return [b.sub(1, turn) for turn in turns]

        turns = [] if self.tiles is None else [0 if is_even else strip.turn]
        b.loop(0, self.total, self.most, tile, turns)

    def tile_place(self, turn: Sequence[SSAValue]) -> Place:
        if self.tiles is not None:
            return self.tiles.place(self.b, turn[0])
        return Place("sram", self.b.alloc("weights", self.tile_bytes, stream=True))
