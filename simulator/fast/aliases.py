"""Bytes of SRAM that are read where they came from: a dense `ld` copies nothing until somebody would see the difference.

An alias says that the content of an interval of SRAM lies at an address of DRAM. A kernel whose operand lies within one reads there.
Whatever else touches the interval, or is about to change the source, has the copy made first. So the machine behaves as if every `ld`
copied, while weights, which are read once, are read in the mapped executable.
"""

from __future__ import annotations

from isa.spec import Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_ALIASES, Alias, Block, Core, Form, Operand, Td
from simulator.fast.posting import finish_all
from simulator.fast.raw import load_8, load_64, store_8, store_64
from simulator.fast.slots import GROUP

SRAM = int(Region.SRAM)


@inlined
def place_of(s: Block, form: int, number: int) -> int:
    """The address at which element 0 of an operand is read or written."""
    at = Form.OPERAND + number * Operand.LENGTH
    base, region = s.tds[s.forms[form, at + Operand.REGISTER], Td.BASE], s.forms[form, at + Operand.REGION]
    if region == SRAM and s.core[Core.ALIASES] > 0:
        low, high = base + s.forms[form, at + Operand.LOW], base + s.forms[form, at + Operand.HIGH]
        source = source_of(s, low, high, s.forms[form, at + Operand.STORED])
        if source != 0:
            return source + base - low
    return s.memories[region, 0] + base


@compiled
def source_of(s: Block, low: int, high: int, stored: int) -> int:
    """The address of the content of SRAM bytes that are only read and lie in one alias; else 0, and no alias overlaps them."""
    lows, highs = s.aliases[Alias.LOW], s.aliases[Alias.HIGH]
    while True:
        row = overlapping(s, low, high)
        if row < 0:
            return 0
        if stored == 0 and lows[row] <= low and high <= highs[row]:
            return s.aliases[Alias.SOURCE, row] + low - lows[row]
        fulfil(s, row)


@compiled
def overlapping(s: Block, low: int, high: int) -> int:
    """The row of an alias of some of these bytes, or -1. Rows that are not in use are empty; whole groups make a loop over vectors."""
    lows, highs, found = s.aliases[Alias.LOW], s.aliases[Alias.HIGH], -1
    for row in range((s.core[Core.ALIASES] + GROUP - 1) // GROUP * GROUP):
        found = max(found, row if (lows[row] < high) & (low < highs[row]) else -1)
    return found


@compiled
def fulfil(s: Block, row: int) -> None:
    """Makes the copy that an alias stands for. The last row takes its place."""
    finish_all(s)
    target, source = s.memories[SRAM, 0] + s.aliases[Alias.LOW, row], s.aliases[Alias.SOURCE, row]
    copy_bytes(target, source, s.aliases[Alias.HIGH, row] - s.aliases[Alias.LOW, row])
    drop(s, row)


@inlined
def drop(s: Block, row: int) -> None:
    """Forgets an alias."""
    last = s.core[Core.ALIASES] - 1
    for column in range(Alias.LENGTH):
        s.aliases[column, row] = s.aliases[column, last]
    s.aliases[Alias.LOW, last] = s.aliases[Alias.HIGH, last] = 0
    s.core[Core.ALIASES] = last


@compiled
def copy_bytes(target: int, source: int, size_bytes: int) -> None:
    """Copies bytes that do not overlap."""
    words = size_bytes >> 3
    for word in range(words):
        store_64(target + 8 * word, load_64(source + 8 * word))
    for byte in range(words << 3, size_bytes):
        store_8(target + byte, load_8(source + byte))


@compiled
def add_alias(s: Block, form: int) -> None:
    """A dense `ld`, the target of which is operand 0: from now on its bytes are those of the source."""
    at = Form.OPERAND
    base = s.tds[s.forms[form, at + Operand.REGISTER], Td.BASE]
    low, high = base + s.forms[form, at + Operand.LOW], base + s.forms[form, at + Operand.HIGH]
    row = overlapping(s, low, high)
    while row >= 0:
        if low <= s.aliases[Alias.LOW, row] and s.aliases[Alias.HIGH, row] <= high:
            drop(s, row)  # overwritten unseen
        else:
            fulfil(s, row)
        row = overlapping(s, low, high)
    if s.core[Core.ALIASES] == MAX_ALIASES:
        fulfil(s, 0)
    row = s.core[Core.ALIASES]
    s.aliases[Alias.LOW, row], s.aliases[Alias.HIGH, row] = low, high
    s.aliases[Alias.SOURCE, row] = place_of_source(s, form)
    s.core[Core.ALIASES] = row + 1


@inlined
def place_of_source(s: Block, form: int) -> int:
    """The address of the lowest byte of operand 1, which lies in DRAM."""
    at = Form.OPERAND + Operand.LENGTH
    base = s.tds[s.forms[form, at + Operand.REGISTER], Td.BASE]
    return s.memories[s.forms[form, at + Operand.REGION], 0] + base + s.forms[form, at + Operand.LOW]


@compiled
def protect_sources(s: Block, form: int) -> None:
    """A `st`, the target of which is operand 0: makes the copies of aliases whose source it changes."""
    at = Form.OPERAND
    base = s.tds[s.forms[form, at + Operand.REGISTER], Td.BASE]
    memory = s.memories[s.forms[form, at + Operand.REGION], 0]
    low, high = memory + base + s.forms[form, at + Operand.LOW], memory + base + s.forms[form, at + Operand.HIGH]
    row = 0
    while row < s.core[Core.ALIASES]:
        source = s.aliases[Alias.SOURCE, row]
        if source < high and low < source + s.aliases[Alias.HIGH, row] - s.aliases[Alias.LOW, row]:
            fulfil(s, row)
        else:
            row += 1


@compiled
def fulfil_all(s: Block) -> None:
    """Makes SRAM what the machine has there."""
    while s.core[Core.ALIASES] > 0:
        fulfil(s, s.core[Core.ALIASES] - 1)
