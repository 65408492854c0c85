"""VPU: operands stream through ports of their own, `lanes` elements per step, a step takes the cycles of its class."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.spec import ELEMENT_BITS, VBIN, VUN
from tests.timing_judge.core import NEVER
from tests.timing_judge.program import Work
from tests.timing_judge.sram import Banks, Port, beats_of

AHEAD_STEPS = 4
"""How far a port may be ahead of the lanes, or behind them: steps of the lanes or, if it is wider, of the port."""

SOON_STEPS = 2
"""Steps of the lanes whose elements a port asks for in time; what is further ahead waits for all others."""

REDUCTIONS = ("vred", "vtopk")


def class_of(work: Work) -> str:
    """simple, transcendental, softmax or division."""
    mnemonic, function = work.row.mnemonic, work.function
    if mnemonic == "vsmx":
        return "softmax"
    if mnemonic == "vrng" or (mnemonic == "vbin" and VBIN[function] == "div"):
        return "division"
    if mnemonic == "vun" and VUN[function] == "sqrt":
        return "division"
    if mnemonic == "vun" and VUN[function] not in ("mov", "abs"):
        return "transcendental"
    return "simple"


class Stream:
    """An operand on its port. `needed(done)`: its elements that belong to the first `done` elements of the instruction."""

    def __init__(self, machine: Machine, banks: Banks, td: Descriptor, elements: int) -> None:
        core = machine.core
        self.port = Port(banks, beats_of(td, banks, core.vpu.port_bytes.value, core.seq.smem_port_bytes.value))
        self._own, self._all = td.elements, elements
        per_beat = core.vpu.port_bytes.value * 8 // ELEMENT_BITS[td.dtype]
        self.slack = AHEAD_STEPS * max(core.vpu.lanes.value, per_beat)

    def needed(self, done: int) -> int:
        return -(-done * self._own // self._all)

    def progress(self) -> float:
        return self.port.elements / self._own

    def finished(self, done: int) -> int:
        return done * self._own // self._all


class VectorTask:
    """One VPU instruction, after the `last` one. Reading, computing and writing overlap; the unit takes the next instruction
    `fill` cycles before the last element is written, so that it reads meanwhile.
    """

    def __init__(self, machine: Machine, banks: Banks, work: Work, last: VectorTask | None) -> None:
        self.released = self.visible = NEVER
        vpu, is_reduction = machine.core.vpu, work.row.mnemonic in REDUCTIONS
        tds = work.operands(("ta", "tb", "tc", "td"))
        self._elements = (tds[1] if is_reduction else tds[0]).elements
        self._lanes = vpu.lanes.value
        self._cycles = getattr(vpu.cycles, class_of(work)).value
        self._latency = (vpu.reduction_latency if is_reduction else vpu.latency).value
        self._sources = [Stream(machine, banks, td, self._elements) for td in work.operands(work.row.reads)]
        self._targets = [Stream(machine, banks, td, self._elements) for td in work.operands(work.row.writes)]
        self._begun = self._done = 0  # elements
        self._left = 0  # cycles of the step that has begun
        self._before = last
        self._patient: list[Stream] = []  # sources that may be read ahead in this cycle
        steps = -(-self._elements // self._lanes)
        first_read, last_write = (
            max((-(-stream.port.beats // steps) for stream in streams), default=1)
            for streams in (self._sources, self._targets)
        )
        self._fill = first_read + self._cycles + last_write - 2 - max(first_read, self._cycles, last_write)

    def step(self, cycle: int) -> None:
        """Writes what was computed before it reads, so that neither falls behind."""
        written = [self._write(stream) for stream in self._targets]
        urgent, self._patient = self._wanting()
        for stream in urgent:
            stream.port.step()
        self._compute()
        for stream, already in zip(self._targets, written, strict=True):
            if not already:
                self._write(stream)
        if self.released == NEVER and self._remaining() <= self._fill:
            self.released = cycle + 1
        if self._is_written():
            self.visible = cycle + 1 + self._latency

    def settle(self) -> None:
        """What is read ahead when all instructions have done their part of a cycle."""
        for stream in self._patient:
            stream.port.step()
        self._patient = []

    def _wanting(self) -> tuple[list[Stream], list[Stream]]:
        """Sources with room for more, what has come least far first: those that the next steps need, and those that are ahead."""
        found: tuple[list[Stream], list[Stream]] = ([], [])
        for stream in sorted(self._sources, key=Stream.progress):
            room = stream.needed(min(self._elements, self._done + stream.slack))
            if not stream.port.is_done and stream.port.elements <= room:
                soon = min(self._elements, self._begun + SOON_STEPS * self._lanes)
                found[stream.port.elements >= stream.needed(soon)].append(stream)
        return found

    def _is_computed(self) -> bool:
        return self._done == self._elements

    def _is_written(self) -> bool:
        return self._is_computed() and all(s.port.is_done for s in (*self._sources, *self._targets))

    def _remaining(self) -> int:
        """Cycles until the last element is written, if its step has begun."""
        if self._begun < self._elements:
            return NEVER
        return self._left + max(stream.port.left for stream in self._targets)

    def _write(self, stream: Stream) -> bool:
        beat = stream.port.beat
        if beat is None or stream.port.elements + beat.elements > stream.finished(self._done):
            return False
        if self._before is not None and not self._before._is_written():
            return False
        stream.port.step()
        return True

    def _compute(self) -> None:
        if self._before is not None and not self._before._is_computed():
            return
        if self._left == 0 and self._begun < self._elements:
            end = min(self._elements, self._begun + self._lanes)
            ready = all(stream.port.elements >= stream.needed(end) for stream in self._sources)
            room = all(stream.finished(self._done) - stream.port.elements <= stream.slack for stream in self._targets)
            if ready and room:
                self._begun, self._left = end, self._cycles
        if self._left > 0:
            self._left -= 1
            if self._left == 0:
                self._done = self._begun
