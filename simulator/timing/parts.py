"""Parts of a run: sections between marks, phases between token events, intervals of time, each the difference of two snapshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from isa.abi import EVENT_IMAGE, EVENT_TOKEN
from simulator.timing.actions import ACTIONS
from simulator.timing.profile import ENGINE_SLOTS
from simulator.timing.timeline import Timeline

MAX_SECTIONS = 1 << 16
ENCODE, REST = "encode", "rest"  # phases that end at halt
Snapshot = NDArray[np.int64]
"""Running totals, [SNAPSHOT_LENGTH]: cycle, instructions, busy cycles by engine, counts by action index."""

FIRST_BUSY = 2
FIRST_ACTION = FIRST_BUSY + ENGINE_SLOTS
SNAPSHOT_LENGTH = FIRST_ACTION + len(ACTIONS)

K = TypeVar("K")
SectionKey = tuple[int, int | None]
"""Label and value of a mark; None before the first one."""


@dataclass(slots=True)
class Section:
    """Everything between a mark and the next one of its label. `cycles`: progress of the latest completion, so that the
    sections of a label add up to the total; busy cycles by engine, counts by action index.
    """

    visits: int = 0
    cycles: int = 0
    instructions: int = 0
    busy: list[int] = field(default_factory=lambda: [0] * ENGINE_SLOTS)
    actions: list[int] = field(default_factory=lambda: [0] * len(ACTIONS))


class _Sum(NamedTuple):
    """Visits of a section and the sum of what happened in them."""

    visits: int
    total: Snapshot

    def section(self) -> Section:
        cycles, instructions, *rest = self.total.tolist()
        return Section(self.visits, cycles, instructions, rest[:ENGINE_SLOTS], rest[ENGINE_SLOTS:])


class _Sums(dict[K, _Sum], Generic[K]):
    """Sums by name."""

    def extend(self, key: K, begin: Snapshot, end: Snapshot) -> None:
        visits, total = self.get(key, _NOTHING)
        self[key] = _Sum(visits + 1, total + (end - begin))


_ZERO: Snapshot = np.zeros(SNAPSHOT_LENGTH, np.int64)
_NOTHING = _Sum(0, _ZERO)


class Parts:
    """Told the totals at every mark, event and halt, in the order they are executed."""

    def __init__(self) -> None:
        self._sections = _Sums[SectionKey]()
        self._open: dict[int, tuple[int, Snapshot]] = {}  # by label: value and totals at its last mark
        self._first: dict[int, Snapshot] = {}
        self._phases = _Sums[str]()
        self._phase_begin = _ZERO
        self._tokens_in_run = 0
        self._ends_as = REST
        self._timeline = Timeline(SNAPSHOT_LENGTH)

    def mark(self, label: int, value: int, totals: Snapshot) -> None:
        """The section of this label ends, the one with this value begins."""
        self._timeline.add(totals)
        opened = self._open.get(label)
        if opened is None:
            self._first[label] = totals
        else:
            _close(self._sections, label, opened, totals)
        self._open[label] = (value, totals)

    def event(self, kind: int, totals: Snapshot) -> None:
        """yield: a token ends a phase."""
        self._timeline.add(totals)
        if kind == EVENT_TOKEN:
            self._end_phase("decode" if self._tokens_in_run else "prefill", totals)
            self._tokens_in_run += 1
        elif kind == EVENT_IMAGE:
            self._ends_as = ENCODE

    def halt(self, totals: Snapshot) -> None:
        """The run ends."""
        self._timeline.add(totals)
        self._end_phase(self._ends_as, totals)
        self._tokens_in_run, self._ends_as = 0, REST

    def phases(self, now: Snapshot) -> dict[str, Section]:
        """Sections by phase: `prefill` up to the first token event of each run, `decode` between token events, `rest`
        from the last one to halt or now; `encode`: a run that encodes an image. Visits count tokens (runs, for `rest`
        and `encode`); cycles add up to the total.
        """
        sums = _Sums(self._phases)
        if now[0] > self._phase_begin[0]:
            sums.extend(REST, self._phase_begin, now)
        return {name: part.section() for name, part in sums.items()}

    def sections(self, now: Snapshot) -> dict[SectionKey, Section]:
        """Sections by (label, value), open ones closed now; value None is what came before the label's first mark."""
        sums = _Sums(self._sections)
        for label, opened in self._open.items():
            _close(sums, label, opened, now)
            sums.extend((label, None), _ZERO, self._first[label])
        return {key: part.section() for key, part in sums.items()}

    def intervals(self, now: Snapshot) -> list[Section]:
        """What happened in intervals of time that follow each other from cycle 0 to now."""
        return [_Sum(1, grown).section() for grown in self._timeline.intervals(now)]

    def _end_phase(self, name: str, totals: Snapshot) -> None:
        self._phases.extend(name, self._phase_begin, totals)
        self._phase_begin = totals


def _close(sections: _Sums[SectionKey], label: int, opened: tuple[int, Snapshot], end: Snapshot) -> None:
    value, begin = opened
    if (label, value) in sections or len(sections) < MAX_SECTIONS:
        sections.extend((label, value), begin, end)
