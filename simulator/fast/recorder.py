"""Makes traces (traces.py): follows the program from a cut to the next one, without doing anything.

Everything on the way depends on registers and SMEM as they are, with one exception: what is added to, or becomes the base of an
operand in a read-only region, may be another number next time. All else that is read is noted as a condition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from isa.encoding import Decoded
from isa.spec import (
    READ_ONLY_REGIONS,
    SMEM_BYTES,
    SMEM_WIDTHS,
    TD_FUNCTIONS,
    Engine,
    Flag,
    Region,
)
from simulator.fast.descriptors import HIGHEST, LOWEST, LOWEST_BIT, MASK, WORD
from simulator.fast.layout import FIRST_CONSTANT, MAX_ITEMS, MAX_TRACE_ENGINES, MAX_TRACES, Core, Ints, Td, Trace
from simulator.fast.tables import Arrays, Block
from simulator.reference.scalar import ALU, COMPARE, TD_LD_ALIGNMENT, wrap
from simulator.state import DISCARD

FIRST_CREDIT = 8
MAX_LENGTH = 1 << 15
MAX_ADDED = 1 << 61
LEAST, GREATEST = -(1 << 62), 1 << 62
WORD_BYTES, LOG2_WORD = 8, 3


class Refused(Exception):
    """There is something on the way that a trace cannot have."""


class Number(NamedTuple):
    """A number on the way: its value now, and the x-register it grew from by additions, if it may be another one next time."""

    value: int
    source: int = -1


@dataclass(slots=True)
class Way:
    """What a trace consists of, as it is found."""

    guards: dict[int, int] = field(default_factory=dict)
    shapes: dict[int, list[int]] = field(default_factory=dict)  # by register: whether the base counts, words
    reads: dict[int, tuple[int, int]] = field(default_factory=dict)  # by address: log2 of bytes, value
    pointers: list[tuple[int, int, int]] = field(default_factory=list)
    based: list[Number] = field(default_factory=list)  # what became a base
    flows: dict[int, int] = field(default_factory=dict)
    instructions: int = 0
    engines: int = 0
    smem_bytes: int = 0


class Recorder:
    """Follows one program from its registers as they are."""

    def __init__(
        self,
        arrays: Arrays,
        block: Block,
        decoded: list[Decoded | None],
        operands: list[dict[str, int]],
        smem: bytearray,
    ) -> None:
        """`operands`: by pc, the descriptor registers of engine instructions."""
        self._block, self._decoded, self._operands, self._smem = block, decoded, operands, smem
        self._start: list[int] = arrays.values[:FIRST_CONSTANT].tolist()
        self._x = [Number(value, register) for register, value in enumerate(self._start)]
        self._x[0] = Number(0)
        self._tds: dict[int, list[int]] = {}
        self._bases: dict[int, Number] = {}  # of registers that were written on the way
        self._way = Way()
        self.cuts = 0
        """Those that were reached."""

    def record(self, pc: int, cuts: int, engines: int) -> int:
        """Adds the trace from pc on, to the last of some cuts; returns its row and one, or 0 if there is none, or none with at
        least so many engine instructions.
        """
        core = self._block.core
        try:
            end = self._follow(pc, cuts)
        except Refused:
            return 0
        if self._way.engines < engines:
            return 0
        items = self._lists()
        if core[Core.TRACES] == MAX_TRACES or core[Core.ITEMS] + sum(len(entries) for entries, _ in items) > MAX_ITEMS:
            return 0
        row = int(core[Core.TRACES])
        core[Core.TRACES] += 1
        trace = self._block.traces[row]
        trace[:] = 0
        trace[Trace.BEGIN], trace[Trace.END], trace[Trace.CUTS] = pc, end, cuts
        trace[Trace.INSTRUCTIONS], trace[Trace.ENGINES] = self._way.instructions, self._way.engines
        trace[Trace.SMEM_BYTES], trace[Trace.EPOCH] = self._way.smem_bytes, core[Core.EPOCH]
        trace[Trace.CREDIT] = FIRST_CREDIT
        for column, (entries, width) in zip(range(Trace.GUARDS, Trace.LENGTH, 2), items, strict=True):
            self._store(trace, column, entries, width)
        return row + 1

    def _store(self, trace: Ints, column: int, entries: list[int], width: int) -> None:
        at = int(self._block.core[Core.ITEMS])
        self._block.items[at : at + len(entries)] = entries
        self._block.core[Core.ITEMS] = at + len(entries)
        trace[column], trace[column + 1] = at, len(entries) // width

    def _follow(self, pc: int, cuts: int) -> int:
        """The pc behind the last cut. Raises Refused."""
        way = self._way
        while way.instructions < MAX_LENGTH:
            d = self._decoded[pc] if pc < len(self._decoded) else None
            if d is None:
                break
            way.instructions += 1
            mnemonic, following = d.row.mnemonic, pc + 1
            if mnemonic in ("br", "jal", "jalr"):
                following, target = self._jump(d, pc)
                if target <= pc:
                    self.cuts += 1
                    if self.cuts == cuts:
                        return following
            elif d.row.engine != Engine.SEQ:
                self._issue(d, self._operands[pc])
            elif mnemonic == "alu":
                self._x[d.rd or DISCARD] = self._alu(d)
            elif mnemonic in ("tdset", "tdadd"):
                self._change(d)
            elif mnemonic in ("lds", "tdld"):
                self._load(d)
            else:
                break
            pc = following
        raise Refused

    def _jump(self, d: Decoded, pc: int) -> tuple[int, int]:
        """The next pc, and the one it goes to if it jumps."""
        target = d.imm + (self._known(self._x[d.rs]) if d.row.mnemonic == "jalr" else 0)
        if d.row.mnemonic == "br":
            if not COMPARE[d.function](self._known(self._x[d.rs]), self._known(self._x[d.rt])):
                return pc + 1, target
        else:
            self._x[d.rd or DISCARD] = Number(pc + 1)
        if not 0 <= target < len(self._decoded):
            raise Refused
        for place, change in ((target, 1), (pc + 1, -1)):
            self._way.flows[place] = self._way.flows.get(place, 0) + change
        return target, target

    def _alu(self, d: Decoded) -> Number:
        a, b = self._x[d.rs], Number(d.imm) if d.fl & Flag.I else self._x[d.rt]
        if d.function in ("add", "sub"):
            a, b = self._settled(a), self._settled(b)
            value = wrap(ALU[d.function](a.value, b.value))
            if b.source < 0:
                return Number(value, a.source)
            if a.source < 0 and d.function == "add":
                return Number(value, b.source)
        one, two = self._known(a), self._known(b)
        if d.function in ("div", "rem") and two == 0:
            raise Refused
        return Number(wrap(ALU[d.function](one, two)))

    def _settled(self, number: Number) -> Number:
        return Number(number.value) if number.source in self._way.guards else number

    def _known(self, number: Number) -> int:
        """The value, which from now on is a condition."""
        if number.source >= 0:
            self._way.guards[number.source] = self._start[number.source]
        return number.value

    def _td(self, register: int) -> list[int]:
        """The words of a descriptor register, of which those it has now become a condition unless it was written on the way."""
        if register not in self._tds:
            words = self._block.tds[register].tolist()
            self._way.shapes[register] = [0, *words]
            self._tds[register] = words
        return self._tds[register]

    def _base(self, register: int) -> Number:
        self._td(register)
        if register not in self._bases:
            self._way.shapes[register][0] = 1
            self._bases[register] = Number(self._tds[register][Td.BASE])
        return self._bases[register]

    def _change(self, d: Decoded) -> None:
        second = Number(d.imm) if d.fl & Flag.I else self._x[d.rs]
        words, name = self._td(d.ta), TD_FUNCTIONS[d.fn]
        if d.row.mnemonic == "tdadd":
            if name != "base":
                raise Refused
            second = Number(self._known(self._base(d.ta)) + self._known(second))
        if name == "base":
            if not LOWEST[0] <= second.value <= HIGHEST[0]:
                raise Refused
            self._bases[d.ta] = second
            self._way.based.append(second)
            return
        value, word = self._known(second), int(WORD[d.fn])
        if not LOWEST[d.fn] <= value <= HIGHEST[d.fn]:
            raise Refused
        mask, lowest = int(MASK[d.fn]), int(LOWEST_BIT[d.fn])
        words[word] = wrap(words[word] & ~(mask << lowest) | (value & mask) << lowest)

    def _load(self, d: Decoded) -> None:
        address = self._known(self._x[d.rs]) + d.imm
        if d.row.mnemonic == "lds":
            width = int(SMEM_WIDTHS[d.fn])
            self._x[d.rd or DISCARD] = Number(self._read(address, width, width))
            return
        words = [self._read(address + WORD_BYTES * place, WORD_BYTES, TD_LD_ALIGNMENT) for place in range(4)]
        first = words[0] & (1 << 64) - 1
        self._tds[d.ta] = [first & (1 << 40) - 1, first >> 40, *words[1:]]
        self._bases[d.ta] = Number(first & (1 << 40) - 1)

    def _read(self, address: int, width: int, alignment: int) -> int:
        """Bytes of SMEM, zero-extended (8: signed)."""
        if address % alignment or not 0 <= address <= SMEM_BYTES - width:
            raise Refused
        value = int.from_bytes(self._smem[address : address + width], "little", signed=width == WORD_BYTES)
        self._way.reads[address << LOG2_WORD | width.bit_length()] = (width.bit_length() - 1, value)
        self._way.smem_bytes += width
        return value

    def _issue(self, d: Decoded, operands: dict[str, int]) -> None:
        """An engine instruction. It is executed as usual before the trace is used, so it needs no check here."""
        if d.row.mnemonic == "vtopk" or self._way.engines == MAX_TRACE_ENGINES:
            raise Refused
        for register in operands.values():
            self._operand(register)
        self._way.engines += 1

    def _operand(self, register: int) -> None:
        words, base = self._td(register), self._settled(self._base(register))
        region = words[Td.KIND] & 15
        if region == Region.SMEM:
            raise Refused
        if base.source >= 0:
            added = wrap(base.value - self._start[base.source])
            if region in READ_ONLY_REGIONS and abs(added) < MAX_ADDED:
                self._way.pointers.append((self._way.engines, base.source, added))
            else:
                self._known(base)

    def _lists(self) -> list[tuple[list[int], int]]:
        """The entries of each list of a trace, and how many numbers one has, in the order of Trace."""
        way = self._way
        self._settle_bases()
        guards = way.guards
        pointers = [entry for entry in way.pointers if entry[1] not in guards]
        sources = list(dict.fromkeys(source for _, source, _ in pointers))
        results: list[int] = []
        for register, number in enumerate(self._x[:DISCARD]):
            if number != Number(self._start[register], register) and register:
                results += (register, *self._entry(number))
        changed: list[int] = []
        for register, words in self._tds.items():
            if register in self._bases:
                source, added = self._entry(self._bases[register])
                changed += (register, source, added, *words[Td.KIND :])
        return [
            ([number for entry in guards.items() for number in entry], 2),
            ([number for register, entry in way.shapes.items() for number in (register, *entry)], 2 + Td.LENGTH),
            ([n for key, entry in way.reads.items() for n in (key >> LOG2_WORD, *entry)], 3),
            ([n for number, source, added in pointers for n in (number, sources.index(source), added)], 3),
            ([number for source in sources for number in (source, LEAST, GREATEST)], 3),
            (results, 3),
            (changed, 2 + Td.LENGTH),
            ([number for entry in way.flows.items() if entry[1] for number in entry], 2),
        ]

    def _settle_bases(self) -> None:
        """Bases that no instruction uses are not checked later on, so they must be what they are; so must be those of changed shapes."""
        used = {(source, added) for _, source, added in self._way.pointers}
        for base in self._way.based:
            if base.source >= 0 and (base.source, wrap(base.value - self._start[base.source])) not in used:
                self._known(base)
        for register, words in self._tds.items():
            if register not in self._bases and words != self._way.shapes[register][1:]:
                self._base(register)

    def _entry(self, number: Number) -> tuple[int, int]:
        """Source, and what is added to it."""
        number = self._settled(number)
        return (
            (-1, number.value)
            if number.source < 0
            else (number.source, wrap(number.value - self._start[number.source]))
        )
