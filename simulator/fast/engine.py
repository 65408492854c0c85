"""The fast engine: the same runs as ReferenceEngine, timed, in compiled code.

The host does what is rare: it starts and stops the loop, teaches it new shapes, computes what has no kernel, and lets the
reference engine explain traps.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from time import perf_counter_ns
from typing import NoReturn

import numpy as np

from isa.abi import Mailbox
from isa.metadata import DebugMap
from isa.spec import TD_REGISTERS, Region
from simulator.fast import descriptors, tables
from simulator.fast.compiled import INTERPRETED
from simulator.fast.kernels.abi import SCRATCH_BYTES
from simulator.fast.layout import Core, Effect, Exit, Form
from simulator.fast.learning import Lesson
from simulator.fast.loader import execute
from simulator.fast.program_layout import FIRST_CONSTANT
from simulator.fast.threads import Workers, usable_threads
from simulator.fast.timing import FastTiming
from simulator.reference.engine import (
    DEFAULT_OPTIONS,
    Event,
    Options,
    ReferenceEngine,
    outside_fault,
    trapped,
    watchdog_fault,
)
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context
from simulator.state import State
from simulator.traps import Fault, LimitError

CACHE_LINE_BYTES = 64


class FastEngine:
    """Executes the text of `timing` on a state. Registers, and bytes that a `ld` has not copied yet, live in the engine while it
    runs; the state has them when a run ends, in whatever way.
    """

    def __init__(
        self,
        state: State,
        timing: FastTiming,
        options: Options = DEFAULT_OPTIONS,
        debug: DebugMap | None = None,
        threads: int = 1,
    ) -> None:
        assert not options.check_uninitialised, "only the reference engine knows which bytes were written"
        self.state = state
        self.timing = timing
        self.options = options
        self.debug = debug
        self.text = timing.text
        self._context = Context(state.memory, options.features)
        core = timing.block.core
        core[Core.INVENTED] = 0
        core[Core.SEED] = np.uint64(options.seed & (1 << 64) - 1).view(np.int64)
        threads = 1 if INTERPRETED or options.timing_only else threads or usable_threads()
        self._workers = Workers(timing.block, threads - 1)
        self._scratch = np.empty(threads * SCRATCH_BYTES + CACHE_LINE_BYTES, np.uint8)
        core[Core.SCRATCH_AT] = -(-self._scratch.ctypes.data // CACHE_LINE_BYTES) * CACHE_LINE_BYTES
        core[Core.ARGUMENTS_AT] = timing.block.arguments.ctypes.data
        core[Core.EXTRAPOLATES] = options.timing_only and options.extrapolate
        core[Core.FORMS_AT] = timing.block.forms.ctypes.data
        core[Core.PROFILES] = options.profile_host
        memory = state.memory
        timing.serve((options.timing_only, options.features, tuple(memory.arrays), tuple(memory.sizes.items())))

    def run(self, entry: int) -> Iterator[Event]:
        """Runs from an instruction until halt; yields events. Raises TrapError, after it is written to the mailbox, and
        LimitError.
        """
        self.state.pc = entry
        self.state.write_mailbox(Mailbox.STATE, 1)
        if not 0 <= entry < len(self.text):
            raise trapped(outside_fault(self.text), entry, self.text, self.state, self.debug)
        self._enter(entry)
        self._workers.start()
        try:
            while (event := self._advance()) is not None:
                yield event
        finally:
            self._workers.stop()
            self._leave()
        self.state.pc -= 1  # back to the halt
        self.state.write_mailbox(Mailbox.STATE, 2)

    def _advance(self) -> Event | None:
        """Executes up to the next event; None at halt."""
        core = self.timing.block.core
        left = self.options.watchdog
        steps = core[Core.STEPS] = min(left, self._steps())
        while True:
            started = perf_counter_ns()
            code = execute(self.timing.arrays)
            self.timing.host_time.loop += perf_counter_ns() - started
            pc = int(core[Core.PC])
            if code == Exit.EVENT:
                event = Event(pc - 1, int(core[Core.EVENT_KIND]), int(core[Core.EVENT_VALUE]))
                self.timing.event(event.kind, event.value)
                return event
            if code == Exit.HALT:
                self.timing.halt()
                return None
            if code == Exit.WATCHDOG and left > steps:
                left -= steps + self._pause(pc)
                steps = core[Core.STEPS] = min(left, self._steps())
            else:
                with self.timing.host_time.helping():
                    self._help(code, pc)

    def _steps(self) -> int:
        """Instructions until the next pause."""
        return self.options.watchdog

    def _pause(self, pc: int) -> int:
        """Between instructions, before the one at pc. Returns how many it executed itself."""
        raise AssertionError("this engine does not pause")

    def _help(self, code: int, pc: int) -> None:
        """Does what the loop cannot do at pc, so that it can go on. Raises TrapError, LimitError."""
        if code == Exit.HOST:
            self._compute(pc - 1)
        elif code == Exit.LEARN:
            self._teach(pc)
        elif code == Exit.STALE:
            self.timing.forget_traces()
        elif code == Exit.LOG:
            self.timing.read_log()
        elif code == Exit.LIMIT:
            raise LimitError(
                f"more cycles, counts or accesses in flight than the fast engine holds, at pc {pc}: take the reference engine"
            )
        else:
            self._trap(pc, watchdog_fault(self.options.watchdog) if code == Exit.WATCHDOG else None)

    def _teach(self, pc: int) -> None:
        """The checks and the cost of the instruction at pc with its descriptors as they are."""
        block = self.timing.block
        if tables.is_full(block):
            self.timing.forget()
            return
        d = self.timing.decoded[pc]
        assert d is not None
        lesson = Lesson(block, pc, d, self.timing.operands[pc])
        form = int(block.core[Core.FORM]) - 1
        if form >= 0 and block.forms[form, Form.EFFECT] == Effect.UNKNOWN:
            lesson.choose(form)
            return
        if form < 0:
            try:
                lesson.check(self._context)
            except Fault:
                self._trap(pc, None)
        cost = lesson.price(self.timing.costs)
        if form < 0:
            form = lesson.add_form(cost, self.state.memory, self.options.timing_only)
        lesson.add_cost(form, cost)

    def _compute(self, pc: int) -> None:
        """What the reference computes for an instruction without a kernel."""
        d = self.timing.decoded[pc]
        assert d is not None
        issue = Lesson(self.timing.block, pc, d, self.timing.operands[pc]).issue(self.timing.arrays.values)
        with np.errstate(all="ignore"):
            KERNELS[d.row.mnemonic].execute(self._context, issue)

    def _trap(self, pc: int, fault: Fault | None) -> NoReturn:
        """The trap at pc; without a fault, the one that the reference engine finds there."""
        self._store_registers()
        if fault is None:
            try:
                ReferenceEngine(self.text, self.state, None, self.options, self.debug).step(pc)
            except Fault as found:
                fault = found
        assert fault is not None, f"the engines disagree about the instruction at pc {pc}"
        raise trapped(fault, pc, self.text, self.state, self.debug) from None

    def _enter(self, entry: int) -> None:
        """Execution comes to an instruction from outside."""
        block, memory = self.timing.block, self.state.memory
        for region, size_bytes in memory.sizes.items():
            array = memory.arrays.get(region)
            block.memories[region] = 0 if array is None else array.ctypes.data, size_bytes
        self.timing.arrays.values[:FIRST_CONSTANT] = self.state.x
        for register in range(TD_REGISTERS):
            block.tds[register] = descriptors.pack(self.state.descriptor(register))
        tables.leave_observation(block)
        block.core[Core.EPOCH] += 1  # the host may have written to SMEM
        self.timing.enter(entry)

    def _leave(self) -> None:
        """Execution ends before the instruction at pc."""
        self.timing.leave()
        self._store_registers()
        self._fulfil_aliases()

    def _fulfil_aliases(self) -> None:
        """Makes the copies that aliases stand for."""
        block = self.timing.block
        for low, high, source in block.aliases[:, : block.core[Core.ALIASES]].T.tolist():
            ctypes.memmove(int(block.memories[Region.SRAM, 0]) + low, source, high - low)
        block.aliases[:] = block.core[Core.ALIASES] = 0

    def _store_registers(self) -> None:
        block, state = self.timing.block, self.state
        state.pc = int(block.core[Core.PC])
        state.x[:] = self.timing.arrays.values[:FIRST_CONSTANT].tolist()
        for register in range(TD_REGISTERS):
            state.set_descriptor(register, descriptors.unpack(block.tds, register))
