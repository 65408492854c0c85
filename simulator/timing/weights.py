"""What lies on the B port of the matrix unit: the weights of a pass and their group scales, each as it is stored.

The two are operands of their own, wherever they lie, and take the port one after the other.
"""

from __future__ import annotations

from dataclasses import replace

from isa.descriptor import Descriptor
from isa.machine_core import Core
from isa.spec import BLOCK_ROWS, ELEMENT_BITS, FMT_BLOCKED, FMT_SPARSE, PACKED_4BIT
from simulator.timing.sram import Access, Runs, access, ceil_div

POSITIONS_PER_BYTE = 4  # 2 bits for each value that 2:4 sparse rows keep


def weight_access(core: Core, b: Descriptor, s: Descriptor | None, n: int, k: int) -> Access:
    """Port cycles and bank accesses to load the n x k weights of a pass and their scales; k counts kept values."""
    pieces = _sparse(b, n, k) if b.fmt & FMT_SPARSE else [_rows(b, n, k)]
    if s is not None:
        logical_k = 2 * k if b.fmt & FMT_SPARSE else k  # groups count logical k
        pieces.append(_rows(s, n, ceil_div(logical_k, 1 << b.glog2)))
    found = [access(runs, core.mxu.b_port_bytes.value, core.sram) for runs in pieces]
    return Access(sum(one.beats for one in found), sum(one.bank_accesses for one in found))


def _rows(td: Descriptor, n: int, k: int) -> Runs:
    """n rows of k elements, loaded along k or along n, whichever is dense. Blocked ones are whole blocks, and dense."""
    if td.fmt & FMT_BLOCKED:
        block = replace(td, extents=(k, BLOCK_ROWS, 1, 1))
        return Runs(1, ceil_div(n, BLOCK_ROWS) * block.block_bytes())
    s0, s1 = td.strides[0], td.strides[1]
    if td.dtype in PACKED_4BIT:
        return _adjacent(n, _nibble_bytes(k, 1 << td.glog2), s1)
    size = ELEMENT_BITS[td.dtype] // 8
    if s0 == size or s0 == 0 or k == 1:
        return _adjacent(n, size if s0 == 0 else k * size, s1)
    if s1 == size:
        return _adjacent(k, n * size, s0)
    return Runs(n * k, size, abs(s0), n, s1)


def _adjacent(rows: int, row_bytes: int, pitch: int) -> Runs:
    return Runs(1, rows * row_bytes) if pitch == row_bytes else Runs(rows, row_bytes)


def _nibble_bytes(k: int, group: int) -> int:
    """Bytes with the first k elements of a plain i4 row: a byte holds elements half a group apart."""
    return k // group * (group // 2) + min(k % group, group // 2)


def _sparse(b: Descriptor, n: int, k: int) -> list[Runs]:
    """A row is its values, then their positions: one run if the pass takes all of it, otherwise two."""
    value_bytes, position_bytes = k * ELEMENT_BITS[b.dtype] // 8, ceil_div(k, POSITIONS_PER_BYTE)
    if 2 * k == b.extents[0]:
        return [_adjacent(n, value_bytes + position_bytes, b.strides[1])]
    return [Runs(n, value_bytes), Runs(n, position_bytes)]
