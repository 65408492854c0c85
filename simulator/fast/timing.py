"""The clock of the fast engine: what TimingModel is to the reference engine, and the same numbers."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from isa.encoding import Decoded
from isa.machine import Machine
from isa.spec import SMEM_WIDTHS, TD_BYTES, TD_OPERANDS, Engine, used_fields
from simulator.fast import loader, tables
from simulator.fast.host_time import HostRow, HostTime, host_rows
from simulator.fast.layout import FIRST_TOTAL, ByPc, Core, Cost, Form, Ints, Profile
from simulator.fast.predecode import decoded_text
from simulator.fast.trace_layout import Transition
from simulator.timing.actions import ACTIONS
from simulator.timing.costs import CostModel
from simulator.timing.model import MAX_EVENTS
from simulator.timing.parts import FIRST_ACTION, FIRST_BUSY, SNAPSHOT_LENGTH, Parts, Snapshot
from simulator.timing.profile import ENGINE_SLOTS, ENGINES, EngineProfile, Event, PcProfile, SeqProfile
from simulator.timing.records import Records

_EXECUTIONS, _BUSY, _ACTION = 0, 1, 2  # columns of what is known by pc


class FastTiming:
    """Times one text on one machine. It goes on over several runs, and over engines that forget their registers."""

    def __init__(self, machine: Machine, text: NDArray[np.void]) -> None:
        self.machine = machine
        self.text = text
        self.costs = CostModel(machine)
        self.decoded = decoded_text(text)
        self.operands = [_operands(d) if d else {} for d in self.decoded]
        self.arrays, self.block = tables.made(self.decoded, self.costs, machine)
        self.events: list[Event] = []
        self.host_time = HostTime()
        self._parts = Parts()
        self._is_running = False
        self._circumstances: tuple[object, ...] = ()
        self._by_pc = np.zeros((len(text), _ACTION + len(ACTIONS)), np.int64)  # what forgotten rows of `costs` counted
        self._engines = np.array([d.row.engine if d else Engine.SEQ for d in self.decoded], np.int64)
        self._smem_widths = np.array([_smem_width(d) if d else 0 for d in self.decoded], np.int64)

    @property
    def is_ready(self) -> bool:
        """Whether a run can start within a moment; otherwise the loop is to be compiled first."""
        return loader.is_compiled()

    def prepare(self) -> None:
        """Compiles the loop if need be, or loads it."""
        loader.load(self.arrays)

    @property
    def cycles(self) -> int:
        """The total so far: SEQ has dispatched and every engine has finished."""
        core = self.block.core
        return int(max(core[Core.NOW], core[Core.FRONTIER]))

    @property
    def instructions(self) -> int:
        """Instructions dispatched, of SEQ and of engines."""
        return int(self.block.core[Core.NOW]) - self._seq().stalled

    def enter(self, pc: int) -> None:
        """Execution comes to an instruction from outside."""
        self.block.core[Core.PC] = pc
        self.arrays.by_pc[pc, ByPc.FLOW] += 1
        self._is_running = True

    def leave(self) -> None:
        """Execution ends before the instruction at pc."""
        self.arrays.by_pc[self.block.core[Core.PC], ByPc.FLOW] -= 1
        self._is_running = False

    def event(self, kind: int, value: int) -> None:
        """The program has posted something."""
        self.read_log()
        now = int(self.block.core[Core.NOW])
        if len(self.events) < MAX_EVENTS:
            self.events.append(Event(now, kind, value))
        self._parts.event(kind, self._totals(now))

    def halt(self) -> None:
        """The program has stopped."""
        self.read_log()
        self._parts.halt(self._totals(int(self.block.core[Core.NOW])))

    def read_log(self) -> None:
        """Takes over the marks that the loop has noted."""
        block = self.block
        for row in block.log[: block.core[Core.LOGGED]].copy():
            self._parts.mark(int(row[0]), int(row[1]), row[FIRST_TOTAL:])
        block.core[Core.LOGGED] = 0

    def serve(self, circumstances: tuple[object, ...]) -> None:
        """For an engine. What forms do depends on its circumstances, such as which memories are there."""
        if circumstances != self._circumstances:
            self.forget()
        self._circumstances = circumstances

    def forget(self) -> None:
        """Makes room in the tables of forms and costs; what was counted stays."""
        self._by_pc = self._counted_by_pc()
        tables.forget(self.block, self.arrays.by_pc)

    def forget_traces(self) -> None:
        """Makes room in the tables of traces; what was passed over stays counted."""
        self._add_passed()
        tables.forget_traces(self.block, self.arrays.by_pc)

    def records(self) -> Records:
        """What was recorded so far."""
        self.read_log()
        core, totals = self.block.core, self._totals(self.cycles)
        executed = self._executions()
        scalars = np.flatnonzero((executed > 0) & (self._engines == Engine.SEQ))
        accesses = np.flatnonzero((executed > 0) & (self._smem_widths > 0))
        moved = executed * self._smem_widths
        return Records(
            machine=self.machine,
            now=int(core[Core.NOW]),
            frontier=int(core[Core.FRONTIER]),
            actions=self.block.actions.tolist(),
            seq=self._seq(),
            engines={int(engine): self._engine(engine) for engine in ENGINES},
            per_pc=self._per_pc(),
            scalar_counts=dict(zip(scalars.tolist(), executed[scalars].tolist(), strict=True)),
            smem_bytes=dict(zip(accesses.tolist(), moved[accesses].tolist(), strict=True)),
            events=self.events,
            phases=self._parts.phases(totals),
            sections=self._parts.sections(totals),
            intervals=self._parts.intervals(totals),
        )

    def host_rows(self) -> list[HostRow]:
        """Where the time of this computer went, with Options.profile_host."""
        nanoseconds = self.arrays.by_pc[: len(self.text), ByPc.NANOSECONDS]
        return host_rows(
            self.decoded[: len(self.text)], self._executions().tolist(), nanoseconds.tolist(), self.host_time
        )

    def _executions(self) -> Ints:
        """By pc, [instructions]."""
        flow = self.arrays.by_pc[:, ByPc.FLOW].copy()
        flow[self.block.core[Core.PC]] -= self._is_running  # it stands before this one
        return np.cumsum(flow)[: len(self.text)]

    def _totals(self, cycle: int) -> Snapshot:
        totals = np.empty(SNAPSHOT_LENGTH, np.int64)
        totals[0], totals[1] = cycle, self.instructions
        totals[FIRST_BUSY:FIRST_ACTION] = self.block.profile[:, Profile.BUSY]
        totals[FIRST_ACTION:] = self.block.actions
        return totals

    def _seq(self) -> SeqProfile:
        core = self.block.core
        full = core[Core.QUEUE_FULL : Core.QUEUE_FULL + ENGINE_SLOTS].tolist()
        return SeqProfile(full, int(core[Core.SMEM_WAIT]), int(core[Core.HALT_WAIT]))

    def _engine(self, engine: Engine) -> EngineProfile:
        row = self.block.profile[engine].tolist()
        interlock = row[Profile.INTERLOCK : Profile.INTERLOCK + ENGINE_SLOTS]
        return EngineProfile(row[Profile.INSTRUCTIONS], row[Profile.BUSY], row[Profile.CONTENTION], interlock)

    def _counted_by_pc(self) -> Ints:
        """Executions, busy cycles and actions by pc, [instructions, ..]."""
        block, result = self.block, self._by_pc.copy()
        self._add_passed()
        for row in range(int(block.core[Core.COSTS])):
            cost = block.costs[row]
            target = result[block.forms[cost[Cost.FORM], Form.PC]]
            target[_EXECUTIONS] += cost[Cost.EXECUTIONS]
            target[_BUSY] += cost[Cost.BUSY]
            pairs = cost[Cost.ACTION : Cost.ACTION + 2 * cost[Cost.ACTIONS]]
            for action, count in zip(pairs[::2], pairs[1::2], strict=True):
                target[_ACTION + action] += count * cost[Cost.EXECUTIONS]
        return result

    def _add_passed(self) -> None:
        """Adds the engine instructions of traces that were passed over to those that were executed."""
        block = self.block
        transitions = block.transitions[: block.core[Core.TRANSITIONS]]
        used = transitions[transitions[:, Transition.USES] > 0]
        lengths = used[:, Transition.COSTS]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        at = np.repeat(used[:, Transition.WORK], lengths) + 3 * within
        costs, uses = block.items[at], np.repeat(used[:, Transition.USES], lengths)
        np.add.at(block.costs[:, Cost.EXECUTIONS], costs, uses * block.items[at + 1])
        np.add.at(block.costs[:, Cost.BUSY], costs, uses * block.items[at + 2])
        transitions[:, Transition.USES] = 0

    def _per_pc(self) -> dict[int, PcProfile]:
        counted = self._counted_by_pc()
        profiles: dict[int, PcProfile] = {}
        for pc in np.flatnonzero(counted[:, _EXECUTIONS]).tolist():
            executions, busy, *actions = cast(list[int], counted[pc].tolist())
            profiles[pc] = PcProfile(int(self._engines[pc]), executions, busy, actions)
        return profiles


def _operands(d: Decoded) -> dict[str, int]:
    """The descriptor registers of an engine instruction, by the names of its operands."""
    if d.row.engine == Engine.SEQ:
        return {}
    used = used_fields(d.row, d.fl)
    return {name: int(getattr(d, name)) for name in TD_OPERANDS if name in used}


def _smem_width(d: Decoded) -> int:
    """Bytes that a SEQ instruction moves in SMEM."""
    if d.row.mnemonic in ("lds", "sts"):
        return int(SMEM_WIDTHS[d.fn])
    return TD_BYTES if d.row.mnemonic == "tdld" else 0
