"""How long an operand takes at a port of the scratchpad, and how many bank accesses it needs: docs/timing.md, section 3.

Closed forms only: a strided row is taken to move as many elements a cycle as fall into different banks of an unbroken stride.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from compiler.sizes import ceil_div
from isa.descriptor import Descriptor
from isa.machine_core import Sram
from isa.spec import ELEMENT_BITS, PACKED_4BIT


@dataclass(frozen=True)
class Pieces:
    """An operand as `count` dense runs of `run_bytes`; with a stride, as `count` single elements in `rows` rows."""

    count: int
    run_bytes: int
    stride: int = 0
    rows: int = 1

    @property
    def size_bytes(self) -> int:
        return self.count * self.run_bytes


@dataclass(frozen=True)
class PortUse:
    """Cycles at the port, and accesses of banks."""

    cycles: int
    bank_accesses: int


def element_size(td: Descriptor) -> int:
    return max(1, ELEMENT_BITS[td.dtype] // 8)


def pieces_of(td: Descriptor) -> Pieces:
    """Dimensions that follow each other in memory are one run; a stride of 0 reads its element once a row."""
    size, stride = element_size(td), td.strides[0]
    if td.dtype not in PACKED_4BIT and td.extents[0] > 1 and stride != size:
        rows = td.elements // td.extents[0]
        return Pieces(rows, size) if stride == 0 else Pieces(td.elements, size, abs(stride), rows)
    run_bytes, count = td.row_bytes(), 1
    for extent, pitch in zip(td.extents[1:], td.strides[1:], strict=True):
        if count == 1 and pitch == run_bytes:
            run_bytes *= extent
        else:
            count *= extent
    return Pieces(count, run_bytes)


def port_use(pieces: Pieces, port_bytes: int, sram: Sram) -> PortUse:
    """Of an operand in SRAM."""
    banks, width = sram.banks.value, sram.bank_bytes.value
    if not pieces.stride:
        each_cycles, each_accesses = ceil_div(pieces.run_bytes, port_bytes), ceil_div(pieces.run_bytes, width)
        return PortUse(pieces.count * each_cycles, pieces.count * each_accesses)
    elements, stride = pieces.count // pieces.rows, pieces.stride
    at_once = max(1, port_bytes // pieces.run_bytes)
    if stride >= width:
        together = min(at_once, max(1, banks // gcd(stride // width, banks)))
        return PortUse(pieces.rows * ceil_div(elements, together), pieces.count)
    together = min(at_once, banks * width // stride)
    cycles = ceil_div(elements, together)
    accesses = max(cycles, ceil_div(elements * stride, width))
    return PortUse(pieces.rows * cycles, pieces.rows * accesses)
