"""Descriptor registers of the compiled loop, packed as they lie in SMEM: five words, of which all but the base are the shape."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

from isa.descriptor import Descriptor
from isa.spec import ELEMENT_BITS, TD_FUNCTIONS, Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Ints, Td
from simulator.fast.program_layout import NO_TD
from simulator.fast.raw import load_64
from simulator.state import TD_RANGES

_PACKED = struct.Struct("<Q3q")
BASE_BITS = 40
BASE_MASK = (1 << BASE_BITS) - 1
LOWEST = np.array([low for low, _ in TD_RANGES])
HIGHEST = np.array([high for _, high in TD_RANGES])
DTYPES, REGIONS, FORMATS = len(ELEMENT_BITS), len(Region), 4

# The fields of tdset and tdadd but the base, in the order of TD_FUNCTIONS: word, lowest bit, bits.
_PLACES = (
    (Td.BASE, 0, BASE_BITS),
    (Td.EXTENTS, 0, 20),
    (Td.EXTENTS, 20, 20),
    (Td.EXTENTS, 40, 12),
    (Td.EXTENTS, 52, 12),
    (Td.INNER, 0, 32),
    (Td.INNER, 32, 32),
    (Td.OUTER, 0, 32),
    (Td.OUTER, 32, 32),
)
WORD = np.array([int(word) for word, _, _ in _PLACES])
LOWEST_BIT = np.array([lowest for _, lowest, _ in _PLACES])
MASK = np.array([(1 << bits) - 1 for _, _, bits in _PLACES])
FIRST_STRIDE = TD_FUNCTIONS.index("s0")
FIRST_FACTOR, SECOND_FACTOR = 0x2545F4914F6CDD1D, 0x369DEA0F31A53F85


def pack(d: Descriptor) -> list[int]:
    """The words of a descriptor register, in the order of Td."""
    word, extents, inner, outer = _PACKED.unpack(d.pack())
    signed = (extents, inner, outer)
    return [word & BASE_MASK, word >> BASE_BITS, *signed]


def unpack(tds: Ints, register: int) -> Descriptor:
    """The value of a descriptor register."""
    return _unpacked(*tds[register, : Td.LENGTH].tolist())


@lru_cache(maxsize=1 << 12)
def _unpacked(base: int, kind: int, *others: int) -> Descriptor:
    return Descriptor.unpack(_PACKED.pack(base | kind << BASE_BITS, *others))


@inlined
def dtype_of(kind: int) -> int:
    return kind >> 4 & 15


@inlined
def extent_of(tds: Ints, td: int, dimension: int) -> int:
    return tds[td, Td.EXTENTS] >> LOWEST_BIT[1 + dimension] & MASK[1 + dimension]


@inlined
def stride_of(tds: Ints, td: int, dimension: int) -> int:
    return field_of(tds, td, FIRST_STRIDE + dimension)


@inlined
def field_of(tds: Ints, td: int, field: int) -> int:
    """A field by its place in TD_FUNCTIONS, which is not 0."""
    value = tds[td, WORD[field]] >> LOWEST_BIT[field] & MASK[field]
    if field >= FIRST_STRIDE:
        value = (value ^ 0x80000000) - 0x80000000
    return value


@inlined
def set_field(tds: Ints, td: int, field: int, value: int) -> bool:
    """tdset and tdadd of a field other than the base; False if the value does not fit."""
    if value < LOWEST[field] or value > HIGHEST[field]:
        return False
    word, lowest = WORD[field], LOWEST_BIT[field]
    tds[td, word] = tds[td, word] & ~(MASK[field] << lowest) | (value & MASK[field]) << lowest
    return True


@inlined
def load_descriptor(tds: Ints, td: int, address: int) -> bool:
    """tdld: 32 bytes; False if they are no legal descriptor."""
    word = load_64(address)
    kind = word >> BASE_BITS
    if kind < 0 or kind >= FORMATS << 12 or kind & 15 >= REGIONS or dtype_of(kind) >= DTYPES:
        return False
    tds[td, Td.BASE], tds[td, Td.KIND] = word & BASE_MASK, kind
    tds[td, Td.EXTENTS] = load_64(address + 8)
    tds[td, Td.INNER], tds[td, Td.OUTER] = load_64(address + 16), load_64(address + 24)
    return True


@inlined
def mixed(state: int, word: int) -> int:
    """One more word of a hash."""
    state = (state ^ word) * FIRST_FACTOR
    return (state ^ state >> 29) * SECOND_FACTOR


@compiled
def hash_shape(state: int, tds: Ints, td: int) -> int:
    """The shape of a register as part of a hash."""
    if td == NO_TD:
        return state
    state = mixed(mixed(state, tds[td, Td.EXTENTS]), tds[td, Td.INNER])
    return mixed(mixed(state, tds[td, Td.OUTER]), tds[td, Td.KIND])
