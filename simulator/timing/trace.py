"""A timing model that also writes when each engine works on what, in the trace event format that Perfetto reads.

Format: "Trace Event Format" of Chromium, JSON object form. Times are microseconds of the simulated machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TextIO

from isa.abi import EVENT_TOKEN
from isa.machine import Machine
from isa.metadata import DebugMap
from isa.spec import Instruction
from simulator.timing.costs import Cost, Operands
from simulator.timing.model import TimingModel
from simulator.timing.profile import ENGINES

MAX_TRACE_EVENTS = 1 << 22
PROCESS = 1
PROGRAM_TRACK = 100  # behind the engines; sections of marks follow
SECTION_TRACKS = {0: "layers", 1: "phases", 2: "image layers"}  # what the compiler marks


class TracedTiming(TimingModel):
    """Writes events as they happen; `close` completes the file."""

    def __init__(self, machine: Machine, debug: DebugMap | None, file: TextIO) -> None:
        super().__init__(machine)
        self.left_out = 0
        """Events beyond MAX_TRACE_EVENTS."""
        self._debug, self._file = debug, file
        self._written = 0
        self._mnemonic = ""
        self._sections: dict[int, tuple[int, int]] = {}  # by label: value and begin of the open one
        self._microseconds = 1e6 / machine.clock_hz
        file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
        tracks = {int(engine): engine.name for engine in ENGINES} | {PROGRAM_TRACK: "tokens"}
        tracks |= {PROGRAM_TRACK + 1 + label: name for label, name in SECTION_TRACKS.items()}
        for track, name in tracks.items():
            self._write({"ph": "M", "name": "thread_name", "tid": track, "args": {"name": name}})

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Operands) -> None:
        self._mnemonic = row.mnemonic
        super().engine(pc, row, fn, fl, tds)

    def mark(self, pc: int, label: int, value: int) -> None:
        super().mark(pc, label, value)
        self._end_section(label)
        self._sections[label] = (value, self.cycles)

    def event(self, pc: int, kind: int, value: int) -> None:
        super().event(pc, kind, value)
        name = "token" if kind == EVENT_TOKEN else f"event {kind}"
        self._write(
            {
                "ph": "i",
                "s": "p",
                "name": name,
                "tid": PROGRAM_TRACK,
                "ts": self._time(self.now),
                "args": {"value": value},
            }
        )

    def close(self) -> None:
        """Ends open sections and the file."""
        for label in list(self._sections):
            self._end_section(label)
        self._file.write("\n]}\n")

    def _record(self, pc: int, cost: Cost, start: int, end: int) -> None:
        super()._record(pc, cost, start, end)
        arguments: dict[str, object] = {"pc": pc, "cycles": end - start, "alone": cost.cycles}
        if self._debug is not None and (location := self._debug.location(pc)):
            arguments["source"] = location
        operator = self._debug.operator(pc) if self._debug else None
        name = f"{self._mnemonic} {operator}" if operator else self._mnemonic
        self._slice(name, cost.engine, start, end, arguments)

    def _end_section(self, label: int) -> None:
        opened = self._sections.pop(label, None)
        if opened is not None:
            value, begin = opened
            self._slice(f"{value}", PROGRAM_TRACK + 1 + label, begin, self.cycles, {"label": label})

    def _slice(self, name: str, track: int, start: int, end: int, arguments: dict[str, object]) -> None:
        event = {"ph": "X", "name": name, "tid": track, "ts": self._time(start), "dur": self._time(end - start)}
        self._write(event | {"args": arguments})

    def _time(self, cycles: int) -> float:
        return round(cycles * self._microseconds, 6)

    def _write(self, event: Mapping[str, object]) -> None:
        if self._written == MAX_TRACE_EVENTS:
            self.left_out += 1
            return
        self._file.write(",\n" if self._written else "")
        self._file.write(json.dumps({"pid": PROCESS, **event}, separators=(",", ":")))
        self._written += 1
