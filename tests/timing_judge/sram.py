"""The scratchpad: which banks an operand needs cycle by cycle, from its addresses, and who gets them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.spec import ELEMENT_BITS, Dtype, Region


@dataclass(frozen=True)
class Beat:
    """What a port moves in one cycle if the banks are free: bit masks of banks, more than one only if a bank is needed
    more than once; elements and bytes of the operand.
    """

    rounds: tuple[int, ...]
    elements: int
    size_bytes: int


@dataclass(frozen=True)
class Piece:
    """Dense bytes at an address, or a single element of a row that is gathered (numbers from 1)."""

    address: int
    size_bytes: int
    elements: int
    row: int = 0


class Banks:
    """One access per bank and cycle, first come, first served: older instructions ask first.

    `by_address`: accesses of different operands that meet in a bank wait for each other. Otherwise only accesses of one
    operand do, and all operands together get as many accesses in a cycle as there are banks.
    """

    def __init__(self, machine: Machine, by_address: bool) -> None:
        self.count, self.width = machine.core.sram.banks.value, machine.core.sram.bank_bytes.value
        self._by_address = by_address
        self._taken, self._left = 0, self.count

    def new_cycle(self) -> None:
        self._taken, self._left = 0, self.count

    def grant(self, wanted: int) -> int:
        """Those of the wanted banks that can be had in this cycle."""
        if self._by_address:
            granted = wanted & ~self._taken
            self._taken |= granted
            return granted
        granted = wanted
        while granted.bit_count() > self._left:
            granted &= granted - 1
        self._left -= granted.bit_count()
        return granted

    def rounds(self, words: Iterable[int]) -> tuple[int, ...]:
        """Masks for accesses to words (address / width); the n-th access to a bank is in the n-th mask."""
        masks: list[int] = []
        for word in words:
            bit = 1 << word % self.count
            for place, mask in enumerate(masks):
                if not mask & bit:
                    masks[place] |= bit
                    break
            else:
                masks.append(bit)
        return tuple(masks)

    def beats(self, pieces: Iterable[Piece], port_bytes: int) -> Iterator[Beat]:
        """Dense pieces from their beginning in steps of the port; gathered elements of a row as many as reach different banks."""
        group: list[Piece] = []
        for piece in pieces:
            if piece.row:
                if not self._may_join(group, piece, port_bytes):
                    yield self._gathered(group)
                    group = []
                group.append(piece)
                continue
            for first in range(0, piece.size_bytes, port_bytes):
                size = min(port_bytes, piece.size_bytes - first)
                low, high = piece.address + first, piece.address + first + size
                words = range(low // self.width, (high - 1) // self.width + 1)
                done = piece.elements * (first + size) // piece.size_bytes
                yield Beat(self.rounds(words), done - piece.elements * first // piece.size_bytes, size)
        if group:
            yield self._gathered(group)

    def _may_join(self, group: list[Piece], piece: Piece, port_bytes: int) -> bool:
        if not group:
            return True
        if piece.row != group[0].row or (len(group) + 1) * piece.size_bytes > port_bytes:
            return False
        word = piece.address // self.width
        others = {other.address // self.width for other in group}
        return word in others or word % self.count not in {other % self.count for other in others}

    def _gathered(self, group: list[Piece]) -> Beat:
        words = {piece.address // self.width for piece in group}
        return Beat(self.rounds(words), sum(p.elements for p in group), sum(p.size_bytes for p in group))


class Port:
    """Moves one operand, beat by beat."""

    def __init__(self, banks: Banks, beats: Iterable[Beat]) -> None:
        self._banks, self._beats = banks, deque(beats)
        self.beats = len(self._beats)
        self.elements = self.size_bytes = 0
        """Moved so far."""
        self._next()

    def _next(self) -> None:
        self.beat = self._beats.popleft() if self._beats else None
        self._rounds = list(self.beat.rounds) if self.beat else []

    @property
    def left(self) -> int:
        """Beats to be done."""
        return len(self._beats) + (self.beat is not None)

    @property
    def is_done(self) -> bool:
        return self.beat is None

    def step(self) -> bool:
        """One cycle; whether a beat was completed."""
        assert self.beat is not None
        if self._rounds:
            self._rounds[0] &= ~self._banks.grant(self._rounds[0])
            if not self._rounds[0]:
                self._rounds.pop(0)
            if self._rounds:
                return False
        self.elements += self.beat.elements
        self.size_bytes += self.beat.size_bytes
        self._next()
        return True


def in_smem(beats: Iterable[Beat]) -> Iterator[Beat]:
    """SMEM has no banks to share."""
    for beat in beats:
        yield Beat((), beat.elements, beat.size_bytes)


def pieces_of(td: Descriptor) -> list[Piece]:
    """A plain operand in the order of its elements; neighbours in memory are one piece."""
    size = ELEMENT_BITS[td.dtype] // 8
    e0, s0 = td.extents[0], td.strides[0]
    packed = td.dtype == Dtype.I4
    if not packed and e0 > 1 and s0 == 0:
        return [Piece(start, size, e0) for start in outer_addresses(td)]
    if not packed and e0 > 1 and s0 != size:
        return [
            Piece(start + i * s0, size, 1, row) for row, start in enumerate(outer_addresses(td), 1) for i in range(e0)
        ]
    row_bytes = td.row_bytes() if packed else e0 * size
    found: list[Piece] = []
    for start in outer_addresses(td):
        last = found[-1] if found else None
        if last is not None and last.address + last.size_bytes == start:
            found[-1] = Piece(last.address, last.size_bytes + row_bytes, last.elements + e0)
        else:
            found.append(Piece(start, row_bytes, e0))
    return found


def outer_addresses(td: Descriptor) -> Iterator[int]:
    """Where each row along dimension 0 begins."""
    _, e1, e2, e3 = td.extents
    _, s1, s2, s3 = td.strides
    for i3 in range(e3):
        for i2 in range(e2):
            for i1 in range(e1):
                yield td.base + i1 * s1 + i2 * s2 + i3 * s3


def beats_of(td: Descriptor, banks: Banks, port_bytes: int, smem_port_bytes: int) -> Iterator[Beat]:
    """The beats of a plain operand on a port of its own; in SMEM, on a port of that width."""
    if td.region == Region.SMEM:
        return in_smem(banks.beats(pieces_of(td), smem_port_bytes))
    return banks.beats(pieces_of(td), port_bytes)
