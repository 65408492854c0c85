"""SEQ, queues and interlock, one core cycle at a time. What an engine does in a cycle is a task of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from isa.spec import Engine
from tests.timing_judge.program import Access, Halt, Scalar, Step

ENGINES = (Engine.DML, Engine.DMS, Engine.MXU, Engine.VPU)
NEVER = 1 << 62


class Task(Protocol):
    """An engine instruction while it is executed. NEVER until they are known: the cycle from which the engine takes the
    next one, and the cycle from which the result is visible.
    """

    released: int
    visible: int

    def step(self, cycle: int) -> None:
        """Does the work of one cycle. Called from the cycle of the start on, until the result is visible."""
        ...


class Dispatchable(Protocol):
    """An engine instruction before it is executed."""

    @property
    def engine(self) -> Engine: ...

    @property
    def accesses(self) -> list[Access]: ...


class Fixed:
    """A task of known length."""

    def __init__(self, cycles: int, latency: int) -> None:
        self._left, self._latency = cycles, latency
        self.released = self.visible = NEVER

    def step(self, cycle: int) -> None:
        self._left -= 1
        if self._left == 0:
            self.released, self.visible = cycle + 1, cycle + 1 + self._latency


@dataclass
class Flight:
    """An engine instruction from its dispatch until its result is visible."""

    index: int
    engine: Engine
    accesses: list[Access]
    dispatch: int
    start: int = NEVER
    task: Task | None = None

    @property
    def visible(self) -> int:
        return NEVER if self.task is None else self.task.visible

    @property
    def released(self) -> int:
        return NEVER if self.task is None else self.task.released


@dataclass
class Outcome:
    """Everything dispatched, in order, and the cycle it is all over."""

    flights: list[Flight]
    cycles: int


class Core:
    """Steps a program. `begin(index)` makes the task of an engine instruction when it starts; `each_cycle(cycle)` comes
    before the tasks of a cycle, `end_of_cycle(cycle)` after them.
    """

    def __init__(
        self,
        program: Sequence[Step | Dispatchable],
        queue_depth: int,
        begin: Callable[[int], Task],
        each_cycle: Callable[[int], None] = lambda cycle: None,
        end_of_cycle: Callable[[int], None] = lambda cycle: None,
    ) -> None:
        self._program, self._depth, self._begin = program, queue_depth, begin
        self._each_cycle, self._end_of_cycle = each_cycle, end_of_cycle
        self._next = 0
        self._queues: dict[Engine, list[Flight]] = {engine: [] for engine in ENGINES}
        self._last: dict[Engine, Flight | None] = dict.fromkeys(ENGINES)
        self._in_flight: list[Flight] = []
        self._all: list[Flight] = []

    def run(self, limit: int = 1 << 24) -> Outcome:
        """Until the last result is visible."""
        cycle = 0
        while self._next < len(self._program) or self._in_flight:
            self._cycle(cycle)
            cycle += 1
            self._in_flight = [flight for flight in self._in_flight if flight.visible > cycle]
            assert cycle < limit, "the program goes on and on"
        return Outcome(self._all, cycle)

    def _cycle(self, cycle: int) -> None:
        self._start_heads(cycle)
        if self._next < len(self._program) and self._dispatch(self._program[self._next], cycle):
            self._next += 1
            self._start_heads(cycle)  # what was dispatched in this cycle
        self._each_cycle(cycle)
        for flight in self._in_flight:
            if flight.task is not None and flight.task.visible == NEVER:
                flight.task.step(cycle)
        self._end_of_cycle(cycle)

    def _dispatch(self, step: Step | Dispatchable, cycle: int) -> bool:
        if isinstance(step, Halt):
            return not self._in_flight
        if isinstance(step, Scalar):
            return step.access is None or not self._held([step.access], len(self._program))
        queue = self._queues[step.engine]
        if len(queue) >= self._depth:
            return False
        flight = Flight(self._next, step.engine, step.accesses, cycle)
        queue.append(flight)
        self._in_flight.append(flight)
        self._all.append(flight)
        return True

    def _start_heads(self, cycle: int) -> None:
        for engine, queue in self._queues.items():
            last = self._last[engine]
            if not queue or (last is not None and last.released > cycle):
                continue
            head = queue[0]
            if self._held(head.accesses, head.index):
                continue
            queue.pop(0)
            head.start, head.task = cycle, self._begin(head.index)
            self._last[engine] = head

    def _held(self, accesses: list[Access], index: int) -> bool:
        """Whether an older instruction in flight, of any engine, has a conflicting access."""
        return any(
            mine.conflicts(other)
            for older in self._in_flight
            if older.index < index
            for other in older.accesses
            for mine in accesses
        )
