"""Scratchpad accesses: how many cycles an operand occupies its port, and how many bank accesses that takes.

A run of dense bytes moves port_bytes per cycle. Elements with a stride move one bank access each; strides that fall on
few banks move few elements per cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from isa.descriptor import Descriptor
from isa.machine_core import Sram
from isa.spec import ELEMENT_BITS, PACKED_4BIT

MAX_WALKED = 1024


@dataclass(frozen=True, slots=True)
class Runs:
    """An operand as `count` runs of `run_bytes` dense bytes; or, if stride is not 0, as `count` single elements in `rows`, each
    `pitch` bytes behind the one before.
    """

    count: int
    run_bytes: int
    stride: int = 0
    rows: int = 1
    pitch: int = 0

    @property
    def size_bytes(self) -> int:
        return self.count * self.run_bytes


@dataclass(frozen=True, slots=True)
class Access:
    """Cycles on the port and bank accesses (each bank_bytes wide) of one operand."""

    beats: int
    bank_accesses: int


def ceil_div(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)


def runs_of(td: Descriptor) -> Runs:
    """A plain operand. Dimensions that follow each other in memory merge; a stride of 0 reads its element once per row."""
    size = ELEMENT_BITS[td.dtype] // 8
    if td.dtype in PACKED_4BIT:
        return _merged(td.row_bytes(), _outer(td, 1))
    e0, s0 = td.extents[0], td.strides[0]
    if e0 == 1 or s0 == size:
        return _merged(e0 * size, _outer(td, 1))
    if s0 == 0:
        return Runs(td.elements // e0, size)
    pitch = next((stride for extent, stride in _outer(td, 1) if extent > 1), 0)
    return Runs(td.elements, size, abs(s0), td.elements // e0, pitch)


def _outer(td: Descriptor, first: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip(td.extents[first:], td.strides[first:], strict=True))


def _merged(run_bytes: int, outer: tuple[tuple[int, int], ...]) -> Runs:
    count = 1
    for extent, stride in outer:
        if extent == 1:
            continue
        if count == 1 and stride == run_bytes:
            run_bytes *= extent
        else:
            count *= extent
    return Runs(count, run_bytes)


def access(runs: Runs, port_bytes: int, sram: Sram) -> Access:
    """Beats and bank accesses of an operand in SRAM."""
    banks, width = sram.banks.value, sram.bank_bytes.value
    if runs.stride:
        row = (runs.count // runs.rows, max(1, port_bytes // runs.run_bytes), runs.stride, banks, width)
        places = width // gcd(runs.pitch, width)  # of rows in a bank, one after the other
        found = [gathered(*row, place * runs.pitch % width) for place in range(min(runs.rows, places))]
        times = [ceil_div(runs.rows - place, places) for place in range(len(found))]
        return Access(
            sum(number * one.beats for number, one in zip(times, found, strict=True)),
            sum(number * one.bank_accesses for number, one in zip(times, found, strict=True)),
        )
    return Access(runs.count * ceil_div(runs.run_bytes, port_bytes), runs.count * ceil_div(runs.run_bytes, width))


@lru_cache(maxsize=4096)
def gathered(elements: int, port_elements: int, stride: int, banks: int, width: int, start: int = 0) -> Access:
    """A row of single elements, the first one `start` bytes behind the border of a bank: in each cycle as many as the port
    takes and as lie in different banks. Elements in one access of a bank share it. Rows longer than MAX_WALKED elements are
    extended in proportion.
    """
    walked = min(elements, MAX_WALKED)
    beats, accesses, taken = 1, 0, 0
    words: set[int] = set()
    for number in range(walked):
        word = (start + number * stride) // width
        if taken == port_elements or (word not in words and any(other % banks == word % banks for other in words)):
            beats, accesses, taken = beats + 1, accesses + len(words), 0
            words.clear()
        words.add(word)
        taken += 1
    accesses += len(words)
    return Access(ceil_div(beats * elements, walked), ceil_div(accesses * elements, walked))
