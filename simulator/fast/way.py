"""What a trace consists of, as recorder.py finds it: conditions, and what is left in registers.

Everything depends on registers and SMEM as they are, with one exception: what is added to, or becomes the base of an
operand in a read-only region, may be another number next time. All else that is read is noted as a condition.
"""

from __future__ import annotations

from typing import NamedTuple

from simulator.fast.layout import Ints, Td
from simulator.reference.scalar import wrap
from simulator.state import DISCARD

LEAST, GREATEST = -(1 << 62), 1 << 62
LOG2_WORD = 3


class Refused(Exception):
    """There is something on the way that a trace cannot have."""


class Number(NamedTuple):
    """A number on the way: its value now, and the x-register it grew from by additions, if it may be another one next time."""

    value: int
    source: int = -1


class Way:
    """A way through the program, from registers as they are."""

    def __init__(self, x: list[int], registers: Ints) -> None:
        """`registers`: descriptor registers, [.., Td]."""
        self.start, self._registers = x, registers
        self.x = [Number(value, register) for register, value in enumerate(x)]
        self.x[0] = Number(0)
        self.tds: dict[int, list[int]] = {}
        self.bases: dict[int, Number] = {}  # of registers that were written on the way
        self.guards: dict[int, int] = {}
        self.shapes: dict[int, list[int]] = {}  # by register: whether the base counts, words
        self.reads: dict[int, tuple[int, int]] = {}  # by address: log2 of bytes, value
        self.pointers: list[tuple[int, int, int]] = []
        self.based: list[Number] = []  # what became a base
        self.flows: dict[int, int] = {}
        self.instructions = self.engines = self.smem_bytes = self.cuts = 0

    def settled(self, number: Number) -> Number:
        """Without its source, if that must have the value it has."""
        return Number(number.value) if number.source in self.guards else number

    def known(self, number: Number) -> int:
        """The value, which from now on is a condition."""
        if number.source >= 0:
            self.guards[number.source] = self.start[number.source]
        return number.value

    def td(self, register: int) -> list[int]:
        """The words of a descriptor register, of which those it has now become a condition unless it was written on the way."""
        if register not in self.tds:
            words = self._registers[register].tolist()
            self.shapes[register] = [0, *words]
            self.tds[register] = words
        return self.tds[register]

    def base(self, register: int) -> Number:
        """The base of a descriptor register, in the same way."""
        self.td(register)
        if register not in self.bases:
            self.shapes[register][0] = 1
            self.bases[register] = Number(self.tds[register][Td.BASE])
        return self.bases[register]

    def lists(self) -> list[tuple[list[int], int]]:
        """The entries of each list of a trace, and how many numbers one has, in the order of Trace."""
        self._settle_bases()
        guards = self.guards
        pointers = [entry for entry in self.pointers if entry[1] not in guards]
        sources = list(dict.fromkeys(source for _, source, _ in pointers))
        results: list[int] = []
        for register, number in enumerate(self.x[:DISCARD]):
            if number != Number(self.start[register], register) and register:
                results += (register, *self._entry(number))
        changed: list[int] = []
        for register, words in self.tds.items():
            if register in self.bases:
                source, added = self._entry(self.bases[register])
                changed += (register, source, added, *words[Td.KIND :])
        return [
            ([number for entry in guards.items() for number in entry], 2),
            ([number for register, entry in self.shapes.items() for number in (register, *entry)], 2 + Td.LENGTH),
            ([n for key, entry in self.reads.items() for n in (key >> LOG2_WORD, *entry)], 3),
            ([n for number, source, added in pointers for n in (number, sources.index(source), added)], 3),
            ([number for source in sources for number in (source, LEAST, GREATEST)], 3),
            (results, 3),
            (changed, 2 + Td.LENGTH),
            ([number for entry in self.flows.items() if entry[1] for number in entry], 2),
        ]

    def _settle_bases(self) -> None:
        """Bases that no instruction uses are not checked later on, so they must be what they are; so must be those of changed shapes."""
        used = {(source, added) for _, source, added in self.pointers}
        for base in self.based:
            if base.source >= 0 and (base.source, wrap(base.value - self.start[base.source])) not in used:
                self.known(base)
        for register, words in self.tds.items():
            if register not in self.bases and words != self.shapes[register][1:]:
                self.base(register)

    def _entry(self, number: Number) -> tuple[int, int]:
        """Source, and what is added to it."""
        number = self.settled(number)
        return (
            (-1, number.value) if number.source < 0 else (number.source, wrap(number.value - self.start[number.source]))
        )
