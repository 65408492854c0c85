"""What a timing-only run does with memory: only what control flow can depend on (docs/timing.md, section 10)."""

from __future__ import annotations

from typing import Any

import numpy as np

from isa.spec import ELEMENT_BITS, PACKED_4BIT, Dtype
from simulator.fast.compiled import compiled, inlined
from simulator.fast.descriptors import dtype_of, extent_of, stride_of
from simulator.fast.layout import Block, Core, Form, Ints, Operand, Td
from simulator.fast.raw import load_8, load_16, load_32, store_8, store_16, store_32
from simulator.reference.philox import ROUNDS

LOG2_BYTES: Ints = np.array([max(8, ELEMENT_BITS[dtype]).bit_length() - 4 for dtype in Dtype])
"""By dtype; 4-bit elements are bytes of two."""
IS_PACKED = np.array([dtype in PACKED_4BIT for dtype in Dtype])

ENTRY_BYTES = 8
MAX_ENTRIES = 64
MINUS_INFINITY = 0xFF800000
MAX_INDEX = (1 << 31) - 1
LOW_32, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@compiled
def address_of(s: Block, form: int, number: int) -> int:
    """Where the element 0 of an operand is."""
    at = Form.OPERAND + number * Operand.LENGTH
    memory = s.memories[s.forms[form, at + Operand.REGION], 0]
    return memory + s.tds[s.forms[form, at + Operand.REGISTER], Td.BASE]


@compiled
def copy(s: Block, form: int, clears: bool) -> None:
    """ld or st between SMEM and DRAM: the bits, or zeroes if nothing is known of the source."""
    tds = s.tds
    target = s.forms[form, Form.OPERAND + Operand.REGISTER]
    source = s.forms[form, Form.OPERAND + Operand.LENGTH + Operand.REGISTER]
    to_base, from_base = address_of(s, form, 0), address_of(s, form, 1)
    dtype = dtype_of(tds[target, Td.KIND])
    log2, packed = LOG2_BYTES[dtype], IS_PACKED[dtype]
    elements = extent_of(tds, target, 0) // 2 if packed else extent_of(tds, target, 0)
    to_step = 1 if packed else stride_of(tds, target, 0)
    from_step = 1 if packed else stride_of(tds, source, 0)
    for i3 in range(extent_of(tds, target, 3)):
        for i2 in range(extent_of(tds, target, 2)):
            for i1 in range(extent_of(tds, target, 1)):
                to, at = to_base + row_offset(tds, target, i1, i2, i3), from_base + row_offset(tds, source, i1, i2, i3)
                for i0 in range(elements):
                    copy_element(to + i0 * to_step, at + i0 * from_step, log2, clears)


@inlined
def row_offset(tds: Ints, td: int, i1: int, i2: int, i3: int) -> int:
    """Where a row begins, in bytes from the base."""
    return i1 * stride_of(tds, td, 1) + i2 * stride_of(tds, td, 2) + i3 * stride_of(tds, td, 3)


@compiled
def copy_element(to: int, at: int, log2: int, clears: bool) -> None:
    if log2 == 0:
        store_8(to, 0 if clears else load_8(at))
    elif log2 == 1:
        store_16(to, 0 if clears else load_16(at))
    else:
        store_32(to, 0 if clears else load_32(at))


@compiled
def invent(s: Block, form: int, first: int) -> None:
    """The list of vtopk: distinct random indices up to the end of the row that starts at index `first`."""
    tds = s.tds
    target = s.forms[form, Form.OPERAND + Operand.REGISTER]
    source = s.forms[form, Form.OPERAND + Operand.LENGTH + Operand.REGISTER]
    to, entries = address_of(s, form, 0), extent_of(tds, target, 0)
    limit = max(1, min(min(first, MAX_INDEX) + extent_of(tds, source, 0), MAX_INDEX))
    count = min(entries, limit)
    moved_from, moved_to = s.moved[0], s.moved[1]
    for i in range(count):
        j = i + scaled(random_word(i, s.core[Core.INVENTED], s.core[Core.SEED]), limit - i)
        chosen, displaced = j, i
        for k in range(i):  # the last move from a place counts
            if moved_from[k] == j:
                chosen = moved_to[k]
            if moved_from[k] == i:
                displaced = moved_to[k]
        moved_from[i], moved_to[i] = j, displaced
        store_32(to + i * ENTRY_BYTES, float_bits(count - i))
        store_32(to + i * ENTRY_BYTES + 4, chosen)
    for i in range(count, entries):
        store_32(to + i * ENTRY_BYTES, MINUS_INFINITY)
        store_32(to + i * ENTRY_BYTES + 4, -1)
    s.core[Core.INVENTED] += 1


@compiled
def float_bits(number: int) -> int:
    """The fp32 bits of an integer from 1 to 2^23."""
    exponent = 0
    while number >> exponent > 1:
        exponent += 1
    return (127 + exponent) << 23 | (number << (23 - exponent)) & 0x7FFFFF


@compiled
def scaled(word: int, limit: int) -> int:
    """A random word of 32 bits as a number below the limit."""
    return word * limit >> 32


@compiled
def random_word(counter: int, number: int, seed: int) -> Any:
    """The first word of Philox4x32-10 with key `seed` and counter (counter, number, 0, 0)."""
    c0, c1 = np.uint64(counter) & LOW_32, np.uint64(number) & LOW_32
    c2, c3 = np.uint64(0), np.uint64(0)
    k0, k1 = np.uint64(seed & 0xFFFFFFFF), np.uint64(seed >> 32 & 0xFFFFFFFF)
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIER_0, c2 * MULTIPLIER_1
        c0, c1, c2, c3 = p1 >> HALF ^ c1 ^ k0, p1 & LOW_32, p0 >> HALF ^ c3 ^ k1, p0 & LOW_32
        k0, k1 = k0 + WEYL_0 & LOW_32, k1 + WEYL_1 & LOW_32
    return np.int64(c0)
