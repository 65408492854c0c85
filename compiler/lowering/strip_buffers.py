"""Where strips lie in SRAM: turns of buffers, what is in one of them."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue

from compiler.lowering.builder import Index, Place, TileBuilder

TILE_TURNS = 2
"""Buffers of k-tiles."""


@dataclass(frozen=True)
class Turns:
    """Room for each turn, `size_bytes` each, from `start` on in a buffer."""

    alloc: SSAValue
    size_bytes: int
    start: int = 0

    def place(self, b: TileBuilder, turn: Index) -> Place:
        return Place("sram", self.alloc, b.add(b.mul(turn, self.size_bytes), self.start))

    def behind(self, count: int) -> Turns:
        """A pair for what comes behind `count` others, which begin with turn 0 and take turns in it."""
        return Turns(self.alloc, -self.size_bytes, self.start + self.size_bytes) if count % 2 else self


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
    """Columns of a strip in SRAM: the first one and how many, of how many groups, `start` bytes into a buffer, `stride_bytes` from
    block to block, or from sparse row to sparse row."""

    place: Place
    start: int
    first: Index
    count: Index
    groups: Index
    stride_bytes: Index


@dataclass(frozen=True)
class Strip:
    """The columns of one iteration: the first one and how many, at most `rows`. `turn`: which half of the buffers it has, 0 or 1."""

    rows: int
    first: Index
    count: Index
    turn: Index
