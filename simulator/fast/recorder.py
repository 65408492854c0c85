"""Makes traces (traces.py): follows the program from a cut to a later one, without doing anything, and notes in way.py what it needs."""

from __future__ import annotations

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
from simulator.fast.layout import Core, Ints, Td
from simulator.fast.observation import FIRST_CREDIT
from simulator.fast.program_layout import FIRST_CONSTANT
from simulator.fast.tables import Arrays, Block
from simulator.fast.trace_layout import MAX_ITEMS, MAX_TRACE_ENGINES, MAX_TRACES, Trace
from simulator.fast.way import LOG2_WORD, Number, Refused, Way
from simulator.reference.scalar import ALU, COMPARE, TD_LD_ALIGNMENT, wrap
from simulator.state import DISCARD

MAX_LENGTH = 1 << 15
MAX_ADDED = 1 << 61
WORD_BYTES = 8


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
        self._way = Way(arrays.values[:FIRST_CONSTANT].tolist(), block.tds)

    @property
    def cuts(self) -> int:
        """Those that were reached."""
        return self._way.cuts

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
        items = self._way.lists()
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
                    way.cuts += 1
                    if way.cuts == cuts:
                        return following
            elif d.row.engine != Engine.SEQ:
                self._issue(d, self._operands[pc])
            elif mnemonic == "alu":
                self._way.x[d.rd or DISCARD] = self._alu(d)
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
        target = d.imm + (self._way.known(self._way.x[d.rs]) if d.row.mnemonic == "jalr" else 0)
        if d.row.mnemonic == "br":
            if not COMPARE[d.function](self._way.known(self._way.x[d.rs]), self._way.known(self._way.x[d.rt])):
                return pc + 1, target
        else:
            self._way.x[d.rd or DISCARD] = Number(pc + 1)
        if not 0 <= target < len(self._decoded):
            raise Refused
        for place, change in ((target, 1), (pc + 1, -1)):
            self._way.flows[place] = self._way.flows.get(place, 0) + change
        return target, target

    def _alu(self, d: Decoded) -> Number:
        a, b = self._way.x[d.rs], Number(d.imm) if d.fl & Flag.I else self._way.x[d.rt]
        if d.function in ("add", "sub"):
            a, b = self._way.settled(a), self._way.settled(b)
            value = wrap(ALU[d.function](a.value, b.value))
            if b.source < 0:
                return Number(value, a.source)
            if a.source < 0 and d.function == "add":
                return Number(value, b.source)
        one, two = self._way.known(a), self._way.known(b)
        if d.function in ("div", "rem") and two == 0:
            raise Refused
        return Number(wrap(ALU[d.function](one, two)))

    def _change(self, d: Decoded) -> None:
        second = Number(d.imm) if d.fl & Flag.I else self._way.x[d.rs]
        words, name = self._way.td(d.ta), TD_FUNCTIONS[d.fn]
        if d.row.mnemonic == "tdadd":
            if name != "base":
                raise Refused
            second = Number(self._way.known(self._way.base(d.ta)) + self._way.known(second))
        if name == "base":
            if not LOWEST[0] <= second.value <= HIGHEST[0]:
                raise Refused
            self._way.bases[d.ta] = second
            self._way.based.append(second)
            return
        value, word = self._way.known(second), int(WORD[d.fn])
        if not LOWEST[d.fn] <= value <= HIGHEST[d.fn]:
            raise Refused
        mask, lowest = int(MASK[d.fn]), int(LOWEST_BIT[d.fn])
        words[word] = wrap(words[word] & ~(mask << lowest) | (value & mask) << lowest)

    def _load(self, d: Decoded) -> None:
        address = self._way.known(self._way.x[d.rs]) + d.imm
        if d.row.mnemonic == "lds":
            width = int(SMEM_WIDTHS[d.fn])
            self._way.x[d.rd or DISCARD] = Number(self._read(address, width, width))
            return
        words = [self._read(address + WORD_BYTES * place, WORD_BYTES, TD_LD_ALIGNMENT) for place in range(4)]
        first = words[0] & (1 << 64) - 1
        self._way.tds[d.ta] = [first & (1 << 40) - 1, first >> 40, *words[1:]]
        self._way.bases[d.ta] = Number(first & (1 << 40) - 1)

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
        words, base = self._way.td(register), self._way.settled(self._way.base(register))
        region = words[Td.KIND] & 15
        if region == Region.SMEM:
            raise Refused
        if base.source >= 0:
            added = wrap(base.value - self._way.start[base.source])
            if region in READ_ONLY_REGIONS and abs(added) < MAX_ADDED:
                self._way.pointers.append((self._way.engines, base.source, added))
            else:
                self._way.known(base)
