"""Architectural state of one core: x-registers, tensor descriptors, memories, mailbox."""

from __future__ import annotations

import struct

from isa.descriptor import Descriptor, field_range
from isa.spec import TD_FIELDS, TD_FUNCTIONS, TD_REGISTERS, X_REGISTERS, Dtype, Region
from simulator.memory import Memory

DISCARD = X_REGISTERS
"""Index of the slot that takes writes to x0."""

_WIDTHS = {name: (width, signed) for name, width, signed in TD_FIELDS}
TD_RANGES = tuple(field_range(*_WIDTHS[name]) for name in TD_FUNCTIONS)
"""Smallest and largest value of each field tdset and tdadd can change, in the order of TD_FUNCTIONS."""

WORD_BYTES = 8
_WORD = struct.Struct("<Q")
_SIGNED_WORD = struct.Struct("<q")


class State:
    """x[0] stays 0; `instructions` is the length of the text. `td_values[t]` are the TD_FUNCTIONS fields of t, `td_fixed[t]` its region,
    dtype, glog2 and fmt."""

    def __init__(self, memory: Memory, instructions: int) -> None:
        self.memory = memory
        self.instructions = instructions
        self.pc = 0
        self.x = [0] * (X_REGISTERS + 1)
        self.td_values = [[0] * len(TD_FUNCTIONS) for _ in range(TD_REGISTERS)]
        self.td_fixed = [(Region.WEIGHT, Dtype.F32, 0, 0)] * TD_REGISTERS
        self.captured: list[Descriptor | None] = [None] * TD_REGISTERS
        """Descriptors by register as last captured; None after a change."""

    def descriptor(self, t: int) -> Descriptor:
        """The value of a descriptor register."""
        known = self.captured[t]
        if known is not None:
            return known
        base, e0, e1, e2, e3, s0, s1, s2, s3 = self.td_values[t]
        region, dtype, glog2, fmt = self.td_fixed[t]
        value = Descriptor(base, region, dtype, (e0, e1, e2, e3), (s0, s1, s2, s3), glog2, fmt)
        self.captured[t] = value
        return value

    def set_descriptor(self, t: int, value: Descriptor) -> None:
        """Writes a whole descriptor register."""
        self.td_values[t] = [value.base, *value.extents, *value.strides]
        self.td_fixed[t] = (value.region, value.dtype, value.glog2, value.fmt)
        self.captured[t] = value

    def read_mailbox(self, word: int) -> int:
        """Mailbox word `word` (its index) as a signed 64-bit integer."""
        return int(_SIGNED_WORD.unpack_from(self.memory.smem, WORD_BYTES * word)[0])

    def write_mailbox(self, word: int, value: int) -> None:
        """Stores the low 64 bits of value in mailbox word `word`."""
        _WORD.pack_into(self.memory.smem, WORD_BYTES * word, value & (1 << 64) - 1)
