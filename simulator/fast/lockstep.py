"""Both engines side by side on one state: chosen instructions are executed by the reference first, undone, and executed by the loop.

So each starts from the same bytes, nothing is held twice, and a full-size model can be checked at a sample of its instructions.
"""

from __future__ import annotations

import ctypes
import random
from collections import Counter

import numpy as np

from isa.descriptor import Descriptor
from isa.disassembler import format_instruction
from isa.encoding import Decoded, decode
from isa.metadata import DebugMap
from isa.spec import X_REGISTERS, Dtype, Engine, Region, used_fields
from simulator.divergence import DivergenceError
from simulator.fast import descriptors
from simulator.fast.engine import FastEngine
from simulator.fast.layout import Core, Exit
from simulator.fast.loader import execute
from simulator.fast.timing import FastTiming
from simulator.memory import Bytes, element_bytes
from simulator.reference.engine import DEFAULT_OPTIONS, Options, ReferenceEngine
from simulator.reference.operands import bounds
from simulator.reference.scalar import smem_interval
from simulator.reference.selection import list_words
from simulator.state import State
from simulator.traps import Fault

UNCHECKED = ("mark", "yield", "halt", "trap")
"""What has no effect that the engines could disagree about."""


class LockstepEngine(FastEngine):
    """A fast engine that checks one in about `every` instructions, and raises DivergenceError at the first difference."""

    def __init__(
        self,
        state: State,
        timing: FastTiming,
        options: Options = DEFAULT_OPTIONS,
        debug: DebugMap | None = None,
        threads: int = 1,
        every: int = 1,
    ) -> None:
        super().__init__(state, timing, options, debug, threads)
        self.every = every
        self.checked: Counter[str] = Counter()
        """Instructions checked so far, by mnemonic."""
        self._reference = ReferenceEngine(self.text, state, None, options, debug)
        self._copied: set[tuple[int, int, int]] = set()
        self._unchecked = 0
        self._random = random.Random(options.seed)

    def _steps(self) -> int:
        gap = self._random.randrange(2 * self.every - 1)  # not periodic, as loops are
        steps, self._unchecked = gap + self._unchecked, 0
        return steps

    def _pause(self, pc: int) -> int:
        d = self.timing.decoded[pc]
        if d is None or d.row.mnemonic in UNCHECKED:
            self._unchecked = 1  # the next turn executes it
            return 0
        self._take_registers(d)
        self._copy_aliases()
        operands = self._written(d)
        before = {name: self._bytes(operand).copy() for name, operand in operands.items()}
        following = self._expected(pc)
        if isinstance(following, Fault):
            self._execute_one()  # raises the trap
            raise self._divergence(pc, f"the reference traps with {following.cause.name}")
        expected = {name: self._bytes(operand).copy() for name, operand in operands.items()}
        for name, operand in operands.items():
            self._bytes(operand)[...] = before[name]
        self._execute_one()
        self._copy_aliases()
        self._compare_registers(pc, d, following)
        for name, operand in operands.items():
            self._compare_bytes(pc, name, operand, expected[name])
        self.checked[d.row.mnemonic] += 1
        return 1

    def _expected(self, pc: int) -> int | Fault:
        """The reference executes the instruction: where it goes on, or its fault."""
        try:
            with np.errstate(all="ignore"):
                return self._reference.step(pc)
        except Fault as fault:
            return fault

    def _execute_one(self) -> None:
        """The loop executes the instruction."""
        core = self.timing.block.core
        core[Core.STEPS] = 1
        while (code := execute(self.timing.arrays)) != Exit.WATCHDOG:
            self._help(code, int(core[Core.PC]))

    def _take_registers(self, d: Decoded) -> None:
        """The state gets the registers of the loop that the instruction can read or change."""
        self.state.x[:X_REGISTERS] = self.timing.arrays.values[:X_REGISTERS].tolist()
        for register in {d.ta, d.tb, d.tc, d.td}:
            self.state.set_descriptor(register, descriptors.unpack(self.timing.block.tds, register))

    def _copy_aliases(self) -> None:
        """Makes the copies that aliases stand for, which stay: kernels are to read at the source."""
        block = self.timing.block
        rows = {(low, high, source) for low, high, source in block.aliases[:, : block.core[Core.ALIASES]].T.tolist()}
        for low, high, source in rows - self._copied:
            ctypes.memmove(int(block.memories[Region.SRAM, 0]) + low, source, high - low)
        self._copied = rows

    def _written(self, d: Decoded) -> dict[str, Descriptor]:
        """What the instruction writes: operands, or for sts the bytes of SMEM."""
        if d.row.mnemonic == "sts":
            try:
                low, high = smem_interval(self.state, d)()
            except Fault:
                return {}
            return {"rs": _byte_run(low, high - low)}
        if d.row.engine == Engine.SEQ:
            return {}
        operands = {name: self.state.descriptor(getattr(d, name)) for name in d.row.writes}
        lists = d.row.mnemonic == "vtopk"
        return {name: list_words(operand) if lists else operand for name, operand in operands.items()}

    def _bytes(self, operand: Descriptor) -> Bytes:
        """The bytes of the bounding interval of an operand, as far as they lie in its region."""
        array = self.state.memory.arrays.get(operand.region)
        low, high = bounds(operand)
        return np.empty(0, np.uint8) if array is None else array[max(0, low) : max(0, high)]

    def _compare_registers(self, pc: int, d: Decoded, following: int) -> None:
        found = int(self.timing.block.core[Core.PC])
        if found != following:
            raise self._divergence(pc, f"goes on at pc {found}, the reference at {following}")
        values = self.timing.arrays.values[:X_REGISTERS].tolist()
        for register, (one, two) in enumerate(zip(values, self.state.x, strict=False)):
            if one != two:
                raise self._divergence(pc, f"x{register} is {one}, the reference has {two}")
        if d.row.engine == Engine.SEQ and "ta" in used_fields(d.row, d.fl):
            one, two = descriptors.unpack(self.timing.block.tds, d.ta), self.state.descriptor(d.ta)
            if one != two:
                raise self._divergence(pc, f"t{d.ta} is {one}, the reference has {two}")

    def _compare_bytes(self, pc: int, name: str, operand: Descriptor, expected: Bytes) -> None:
        found = self._bytes(operand)
        places = np.flatnonzero(found != expected)
        if not len(places):
            return
        size = element_bytes(operand.dtype)
        first = int(places[0]) // size * size
        low = max(0, bounds(operand)[0]) + first
        one, two = (content[first : first + size].tobytes()[::-1].hex() for content in (found, expected))
        raise self._divergence(
            pc,
            f"{len(places)} bytes of {name} ({operand.region.name} {operand.dtype.name} {list(operand.extents)}) differ, "
            f"the first element at byte {low} is 0x{one}, the reference has 0x{two}",
        )

    def _divergence(self, pc: int, difference: str) -> DivergenceError:
        return DivergenceError(pc, format_instruction(decode(self.text[pc], pc)), difference, self.debug)


def _byte_run(base: int, size_bytes: int) -> Descriptor:
    return Descriptor(base, Region.SMEM, Dtype.U8, (size_bytes, 1, 1, 1), (1, 0, 0, 0))
