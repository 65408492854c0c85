"""VPU: operands stream through ports of their own, `lanes` elements per step, a step takes the cycles of its class."""

from __future__ import annotations

from isa.descriptor import Descriptor
from isa.machine import Machine
from isa.spec import VBIN, VUN
from tests.timing_judge.core import NEVER
from tests.timing_judge.program import Work
from tests.timing_judge.sram import Banks, Port, beats_of

AHEAD_STEPS = 4
"""How far a port may be ahead of the lanes, or behind them: steps of the lanes or, if it is wider, of the port."""

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

    def needed(self, done: int) -> int:
        return -(-done * self._own // self._all)

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
        self._slack = AHEAD_STEPS * max(self._lanes, vpu.port_bytes.value)
        self._cycles = getattr(vpu.cycles, class_of(work)).value
        self._latency = (vpu.reduction_latency if is_reduction else vpu.latency).value
        self._sources = [Stream(machine, banks, td, self._elements) for td in work.operands(work.row.reads)]
        self._targets = [Stream(machine, banks, td, self._elements) for td in work.operands(work.row.writes)]
        self._begun = self._done = 0  # elements
        self._left = 0  # cycles of the step that has begun
        self._before = last
        steps = -(-self._elements // self._lanes)
        first_read, last_write = (
            max((-(-stream.port.beats // steps) for stream in streams), default=1)
            for streams in (self._sources, self._targets)
        )
        self._fill = first_read + self._cycles + last_write - 2 - max(first_read, self._cycles, last_write)

    def step(self, cycle: int) -> None:
        """Writes what was computed before it reads, so that neither falls behind."""
        slack = self._slack
        written = [self._write(stream) for stream in self._targets]
        for stream in self._sources:
            if not stream.port.is_done and stream.port.elements <= stream.needed(
                min(self._elements, self._done + slack)
            ):
                stream.port.step()
        self._compute(slack)
        for stream, already in zip(self._targets, written, strict=True):
            if not already:
                self._write(stream)
        if self.released == NEVER and self._remaining() <= self._fill:
            self.released = cycle + 1
        if self._is_written():
            self.visible = cycle + 1 + self._latency

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

    def _compute(self, slack: int) -> None:
        if self._before is not None and not self._before._is_computed():
            return
        if self._left == 0 and self._begun < self._elements:
            end = min(self._elements, self._begun + self._lanes)
            ready = all(stream.port.elements >= stream.needed(end) for stream in self._sources)
            room = all(stream.finished(self._done) - stream.port.elements <= slack for stream in self._targets)
            if ready and room:
                self._begun, self._left = end, self._cycles
        if self._left > 0:
            self._left -= 1
            if self._left == 0:
                self._done = self._begun
