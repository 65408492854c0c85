"""The run loop: the whole text is decoded once into steps; a run executes them until an event, halt or trap.

Meaning of a program = sequential execution. An engine instruction captures its descriptors and x-registers, is checked, then executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isa.abi import Mailbox
from isa.descriptor import Descriptor
from isa.disassembler import format_instruction
from isa.encoding import FIELD_INDEX, Decoded, DecodeError, decode
from isa.metadata import DebugMap
from isa.spec import TD_OPERANDS, Engine, Feature, Flag, Region, Trap, used_fields
from simulator.observer import Captured, Observer
from simulator.reference import selection
from simulator.reference.kernels import KERNELS
from simulator.reference.operands import Context, Issue
from simulator.reference.scalar import SCALAR, Step, smem_interval
from simulator.reference.shadow import Shadow
from simulator.state import State
from simulator.traps import Fault, TrapError, trap_words

DEFAULT_WATCHDOG = 1 << 30
SMEM_ACCESS = ("lds", "sts", "tdld")
FIELD_NAMES = tuple(FIELD_INDEX)


class Event(NamedTuple):
    """What the program told the host: a yield with (imm, x[rs])."""

    pc: int
    kind: int
    value: int


@dataclass(frozen=True, slots=True)
class Options:
    """How to run. `watchdog`: instructions between two events after which the run traps.

    `timing_only`: control flow without tensor values; `seed` then chooses what vtopk finds. `check_uninitialised`: reads of bytes
    of SRAM, KV or SCRATCH that were never written trap. `extrapolate`: the fast engine need not execute what it has seen before, if
    `timing_only`; everything comes out the same. `profile_host`: it measures how long its kernels take.
    """

    features: Feature = Feature(0)
    timing_only: bool = False
    check_uninitialised: bool = False
    watchdog: int = DEFAULT_WATCHDOG
    seed: int = 0
    extrapolate: bool = True
    profile_host: bool = False


DEFAULT_OPTIONS = Options()


class ReferenceEngine:
    """Executes a text on a state."""

    def __init__(
        self,
        text: NDArray[np.void],
        state: State,
        observer: Observer | None = None,
        options: Options = DEFAULT_OPTIONS,
        debug: DebugMap | None = None,
    ) -> None:
        self.text = text
        self.state = state
        self.observer = observer
        self.options = options
        self.debug = debug
        self.context = Context(state.memory, options.features)
        self.shadow = Shadow(state.memory) if options.check_uninitialised and not options.timing_only else None
        self._invented = 0
        self._stopped_by: Event | None = None
        self._steps = [self._build(pc) for pc in range(len(text))]
        self._steps.append(_fault_step(outside_fault(text)))

    def run(self, entry: int) -> Iterator[Event]:
        """Runs from an instruction until halt; yields events. Raises TrapError, after it is written to the mailbox."""
        self.state.pc = entry
        self.state.write_mailbox(Mailbox.STATE, 1)
        while (event := self._advance()) is not None:
            yield event
        self.state.write_mailbox(Mailbox.STATE, 2)

    def _advance(self) -> Event | None:
        """Executes up to the next event; None at halt."""
        steps = self._steps
        pc = self.state.pc
        try:
            if not 0 <= pc < len(self.text):
                raise outside_fault(self.text)
            with np.errstate(all="ignore"):
                for _ in repeat(None, self.options.watchdog):
                    pc = steps[pc]()
                    if pc < 0:
                        break
                else:
                    raise watchdog_fault(self.options.watchdog)
        except Fault as fault:
            self.state.pc = pc
            raise trapped(fault, pc, self.text, self.state, self.debug) from None
        self.state.pc = ~pc
        return self._stopped_by

    def step(self, pc: int) -> int:
        """Executes one instruction; returns the next pc (~pc after a yield or halt). Raises Fault."""
        return self._steps[pc]()

    def _build(self, pc: int) -> Step:
        try:
            d = decode(self.text[pc], pc)
        except DecodeError as error:
            return _fault_step(_decode_fault(error))
        mnemonic = d.row.mnemonic
        if mnemonic == "yield":
            return self._build_yield(d, pc)
        if mnemonic == "halt":
            return self._build_halt(pc)
        if d.row.engine != Engine.SEQ:
            return self._build_engine(d, pc)
        step = SCALAR[mnemonic](self.state, d, pc)
        return step if self.observer is None else self._watched(step, d, pc, self.observer)

    def _watched(self, step: Step, d: Decoded, pc: int, observer: Observer) -> Step:
        row, x, rs, label = d.row, self.state.x, d.rs, d.imm
        if row.mnemonic in SMEM_ACCESS:
            interval, write, access = smem_interval(self.state, d), row.mnemonic == "sts", observer.smem

            def watched() -> int:
                low, high = interval()
                following = step()
                access(pc, row, low, high, write)
                return following

        elif row.mnemonic == "mark":
            marked = observer.mark

            def watched() -> int:
                marked(pc, label, x[rs])
                return pc + 1

        else:
            executed = observer.scalar

            def watched() -> int:
                following = step()
                executed(pc, row)
                return following

        return watched

    def _build_yield(self, d: Decoded, pc: int) -> Step:
        x, rs, kind, observer = self.state.x, d.rs, d.imm, self.observer
        stop = ~(pc + 1)

        def step() -> int:
            self._stopped_by = Event(pc, kind, x[rs])
            if observer is not None:
                observer.event(pc, kind, x[rs])
            return stop

        return step

    def _build_halt(self, pc: int) -> Step:
        observer = self.observer
        stop = ~pc

        def step() -> int:
            self._stopped_by = None
            if observer is not None:
                observer.halt(pc)
            return stop

        return step

    def _build_engine(self, d: Decoded, pc: int) -> Step:
        capture, observer, following = self._capture(d), self.observer, pc + 1
        check = KERNELS[d.row.mnemonic].check
        execute = self._executor(d)
        context = self.context
        row, fn, fl = d.row, d.fn, d.fl

        def step() -> int:
            issue = capture()
            check(context, issue)
            execute(context, issue)
            if observer is not None:
                observer.engine(pc, row, fn, fl, captured(issue.operands))
            return following

        return step

    def _capture(self, d: Decoded) -> Callable[[], Issue]:
        state, x = self.state, self.state.x
        used = used_fields(d.row, d.fl)
        registers = [(name, getattr(d, name)) for name in TD_OPERANDS if name in used]
        row, function, fl, rd, rs, rt = d.row, d.function, d.fl, d.rd, d.rs, d.rt
        immediate = _fp32(d.imm) if fl & Flag.I else None
        from_register = bool(fl & Flag.X)

        def capture() -> Issue:
            operands = {name: state.descriptor(register) for name, register in registers}
            scalar = _fp32(x[rs]) if from_register else immediate
            return Issue(row, function, fl, operands, x[rd], x[rs], x[rt], scalar)

        return capture

    def _executor(self, d: Decoded) -> Callable[[Context, Issue], None]:
        if self.options.timing_only:
            return self._execute_timing_only
        execute = KERNELS[d.row.mnemonic].execute
        shadow = self.shadow
        if shadow is None:
            return execute

        def watched(context: Context, issue: Issue) -> None:
            shadow.check_reads(d, issue.operands)
            execute(context, issue)
            shadow.record_writes(d, issue.operands)

        return watched

    def _execute_timing_only(self, context: Context, issue: Issue) -> None:
        """Only what control flow can depend on: transfers to and from SMEM, and a made-up choice by vtopk."""
        arrays = context.memory.arrays
        if issue.row.mnemonic == "vtopk" and issue["ta"].region in arrays:
            selection.invented_entries(context, issue, self.options.seed, self._invented)
            self._invented += 1
        if issue.row.mnemonic not in ("ld", "st"):
            return
        target, data = issue["ta"], issue["tb"]
        if Region.SMEM not in (target.region, data.region) or target.region not in arrays:
            return
        if data.region in arrays:
            KERNELS[issue.row.mnemonic].execute(context, issue)
        else:
            context.memory.bits(target)[...] = 0


def trapped(fault: Fault, pc: int, text: NDArray[np.void], state: State, debug: DebugMap | None) -> TrapError:
    """The trap at an instruction, after it is written to the mailbox."""
    error = TrapError(fault, pc, _disassembled(text, pc), debug.location(pc) if debug else None)
    for word, value in trap_words(error).items():
        state.write_mailbox(word, value)
    return error


def outside_fault(text: NDArray[np.void]) -> Fault:
    return Fault(Trap.PC_OUT_OF_RANGE, "op", f"the text has {len(text)} instructions")


def watchdog_fault(instructions: int) -> Fault:
    return Fault(Trap.WATCHDOG, "op", f"no event within {instructions} instructions")


def _disassembled(text: NDArray[np.void], pc: int) -> str:
    if not 0 <= pc < len(text):
        return "no instruction"
    try:
        return format_instruction(decode(text[pc], pc))
    except DecodeError:
        return f".raw {text[pc].tobytes().hex()}"


def captured(operands: dict[str, Descriptor]) -> Captured:
    """The operands in the order observers expect."""
    get = operands.get
    return get("ta"), get("tb"), get("tc"), get("td")


def _fp32(bits: int) -> np.float32:
    return np.uint32(bits & 0xFFFFFFFF).view(np.float32)


def _fault_step(fault: Fault) -> Step:
    def step() -> int:
        raise fault

    return step


def _decode_fault(error: DecodeError) -> Fault:
    """The operand of a decoding fault is an opcode, a function code or the index of a field."""
    if error.trap == Trap.ILLEGAL_OPCODE:
        return Fault(error.trap, "op", f"opcode {error.operand}", error.operand)
    if error.trap == Trap.ILLEGAL_FUNCTION:
        return Fault(error.trap, "fn", f"function {error.operand}", error.operand)
    return Fault(error.trap, FIELD_NAMES[error.operand], "must be zero or in range")
