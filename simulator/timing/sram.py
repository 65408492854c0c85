"""Scratchpad accesses: how many cycles an operand occupies its port, and how many bank accesses that takes.

A run of dense bytes moves port_bytes per cycle. Elements with a stride move one bank access each; strides that fall on
few banks move few elements per cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from isa.descriptor import Descriptor
from isa.machine_core import Sram
from isa.spec import ELEMENT_BITS, Dtype


@dataclass(frozen=True, slots=True)
class Runs:
    """An operand as `count` runs of `run_bytes` dense bytes; or, if stride is not 0, as `count` single elements."""

    count: int
    run_bytes: int
    stride: int = 0

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
    if td.dtype == Dtype.I4:
        return _merged(td.row_bytes(), _outer(td, 1))
    e0, s0 = td.extents[0], td.strides[0]
    if e0 == 1 or s0 == size:
        return _merged(e0 * size, _outer(td, 1))
    if s0 == 0:
        return Runs(td.elements // e0, size)
    return Runs(td.elements, size, abs(s0))


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
    bank_bytes = sram.bank_bytes.value
    if runs.stride:
        per_beat = elements_per_beat(runs.stride, max(1, port_bytes // runs.run_bytes), sram)
        together = max(1, bank_bytes // runs.stride)
        return Access(ceil_div(runs.count, per_beat), ceil_div(runs.count, together))
    return Access(runs.count * ceil_div(runs.run_bytes, port_bytes), runs.count * ceil_div(runs.run_bytes, bank_bytes))


def elements_per_beat(stride: int, port_elements: int, sram: Sram) -> int:
    """Elements that can be fetched in one cycle: as many as the port takes, one per bank hit.

    A stride of a multiple of the bank width walks over banks / gcd(banks, stride / width) banks. Below one width, several
    elements share a bank access. Other strides spread over all banks.
    """
    banks, width = sram.banks.value, sram.bank_bytes.value
    if stride < width:
        reachable = banks * (width // stride)
    elif stride % width:
        reachable = banks
    else:
        reachable = banks // gcd(banks, stride // width)
    return max(1, min(port_elements, reachable))
