"""Debug mode: one flag per byte that tells whether it has been written; reading one that has not traps."""

from __future__ import annotations

import numpy as np

from isa.descriptor import Descriptor
from isa.encoding import Decoded
from isa.spec import BLOCK_ROWS, FMT_BLOCKED, FMT_SPARSE, PACKED_4BIT, Region, Trap
from simulator.memory import BITS, Array, Bytes, Memory, blocked, element_bytes, zeros
from simulator.reference.selection import list_words
from simulator.traps import Fault

WATCHED = (Region.SRAM, Region.KV, Region.SCRATCH)


class Shadow:
    """Written bytes of SRAM, KV and SCRATCH."""

    def __init__(self, memory: Memory) -> None:
        self.written: dict[Region, Bytes] = {region: zeros(region, memory.sizes[region]) for region in WATCHED}

    def check_reads(self, instruction: Decoded, operands: dict[str, Descriptor]) -> None:
        """Raises a Fault if a byte that the instruction reads was never written."""
        for name in instruction.td_reads():
            d = _accessed(instruction, name, operands[name], words=2)
            if d.region in self.written and not self._all_written(d):
                raise Fault(Trap.UNINITIALISED_READ, name, "bytes that were never written")

    def record_writes(self, instruction: Decoded, operands: dict[str, Descriptor]) -> None:
        """Marks what the instruction wrote."""
        for name in instruction.row.writes:
            d = _accessed(instruction, name, operands[name], words=3)
            if d.region in self.written:
                self._flags(d)[...] = 1

    def _flags(self, d: Descriptor) -> Array:
        """A view with one flag per byte of a plain or sparse operand."""
        array = self.written[d.region]
        e0, e1, e2, e3 = d.extents
        s0, s1, s2, s3 = d.strides
        if d.fmt & FMT_SPARSE:
            return np.ndarray((e3, e2, e1, d.sparse_row_bytes()), np.uint8, array, d.base, (s3, s2, s1, 1))
        if d.dtype in PACKED_4BIT:
            return np.ndarray((e3, e2, e1, e0 // 2), np.uint8, array, d.base, (s3, s2, s1, 1))
        return np.ndarray((e3, e2, e1, e0, element_bytes(d.dtype)), np.uint8, array, d.base, (s3, s2, s1, s0, 1))

    def _all_written(self, d: Descriptor) -> bool:
        if not d.fmt & FMT_BLOCKED:
            return bool(self._flags(d).all())
        size = element_bytes(d.dtype)
        flags = blocked(self.written[d.region], d, BITS[size]) == int.from_bytes(b"\1" * size, "little")
        _, e1, e2, e3 = d.extents
        rows = flags.reshape(e3, e2, flags.shape[2] * BLOCK_ROWS, -1)[:, :, :e1]
        columns = rows.shape[-1] if d.dtype in PACKED_4BIT else d.extents[0]
        return bool(rows[..., :columns].all())


def _accessed(instruction: Decoded, name: str, d: Descriptor, words: int) -> Descriptor:
    """The part of an operand that is accessed: m, l (and alpha) of ML, whole entries of a list."""
    if instruction.row.mnemonic == "vsmx" and name == "tc":
        return Descriptor(d.base, d.region, d.dtype, (words, *d.extents[1:]), d.strides)
    if instruction.row.mnemonic == "vtopk" and name == "ta":
        return list_words(d)
    return d
