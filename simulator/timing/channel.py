"""One DRAM channel during one transfer: which rows are opened, and when each burst can move. docs/timing.md, section 6.

Times are in picoseconds, from the first column command (read or write) of the transfer on.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.machine_memory import Memory

PICOSECONDS = 1000


def picoseconds(nanoseconds: float) -> int:
    return round(nanoseconds * PICOSECONDS)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of transfers in one direction: what follows from the JEDEC parameters.

    `reopen`: from the last column command to a row until the first one to another row of the bank. `respond`: from a
    request until its data are over, in a row that is open. `refresh`: without column commands around a refresh.
    """

    burst: int
    same_group: int
    activate: int
    row_cycle: int
    open: int
    reopen: int
    respond: int
    refresh: int
    refresh_interval: int

    @staticmethod
    def of(memory: Memory, *, write: bool) -> Intervals:
        t = memory.timing
        burst, same_group = picoseconds(t.burst.value), picoseconds(t.tCCD_L.value)
        recovery = t.WL.value + t.tWR.value if write else 0.0
        column = t.WL.value if write else t.RL.value
        return Intervals(
            burst=burst,
            same_group=max(burst, same_group),
            activate=max(picoseconds(t.tRRD.value), picoseconds(t.tFAW.value) // 4),
            row_cycle=picoseconds(t.tRC.value),
            open=picoseconds(t.tRCD.value),
            reopen=picoseconds(t.burst.value + recovery + t.tRP.value + t.tRCD.value),
            respond=picoseconds(t.controller.value + column + t.burst.value),
            refresh=picoseconds(recovery + t.tRP.value + t.tRFC.value + t.tRCD.value),
            refresh_interval=picoseconds(t.tREFI.value),
        )


class _Bank:
    __slots__ = ("last", "ready", "row")

    def __init__(self) -> None:
        self.row = -1
        self.last = 0  # the last column command to the open row
        self.ready = 0  # the first one to another row can be


class Channel:
    """Counts and times of one channel. `groups`: bank groups that consecutive bursts alternate between; `limit`: bursts
    of one engine that may be in flight.
    """

    def __init__(self, intervals: Intervals, groups: int, banks: int, row_bursts: int, limit: int) -> None:
        self._t, self._groups, self._banks_per_group = intervals, groups, banks // groups
        self._row_bursts, self._limit = row_bursts, limit
        self._banks: dict[tuple[int, int], _Bank] = {}
        self.bursts = [0] * groups
        self.activates = 0
        self._bus = 0  # the data bus has moved all bursts so far
        self.end = 0  # ... and the banks have

    def add(self, first: int, end: int, sent: int) -> int:
        """Moves the bursts [first, end) of the channel, whose requests come at `sent`; returns when the last one is taken."""
        t = self._t
        step = max(t.same_group, min(self._groups, end - first) * t.burst)  # between two bursts of a group
        begin = max(self._bus, sent - t.open)
        self._bus = begin + (end - first) * t.burst
        self.end = max(self.end, self._bus)
        taken = max(sent, self._bus - self._limit * t.burst + t.open + t.respond)
        per_row = self._row_bursts * self._groups
        for group in range(self._groups):
            lowest = first + (group - first) % self._groups
            if lowest >= end:
                continue
            highest = end - 1 - (end - 1 - group) % self._groups
            self.bursts[group] += (highest - lowest) // self._groups + 1
            for row in range(lowest // per_row, highest // per_row + 1):
                low, high = max(lowest, row * per_row), min(highest, (row + 1) * per_row - 1)
                moved = begin + (low - first) * t.burst  # what comes before it in the run
                taken = max(taken, self._visit(group, row, (high - low) // self._groups + 1, step, sent, moved))
        return taken

    def _visit(self, group: int, number: int, bursts: int, step: int, sent: int, bus: int) -> int:
        """Bursts to one row of a group, rows counted through its banks, from when the bus is free on; it is opened if it is not
        open yet. Returns when the bank takes the requests.
        """
        t, taken = self._t, sent
        row, place = divmod(number, self._banks_per_group)
        bank = self._banks.setdefault((group, place), _Bank())
        if bank.row == row:
            begin = max(bus, bank.last + step, sent - t.open)
        else:
            if bank.row >= 0:  # a bank has requests for one row at a time
                taken = max(taken, bank.last + t.open)
            begin = max(bus, bank.ready, self.activates * t.activate, sent)
            bank.row, bank.ready = row, begin + t.row_cycle
            self.activates += 1
        bank.last = begin + (bursts - 1) * step
        bank.ready = max(bank.ready, bank.last + t.reopen)
        self.end = max(self.end, bank.last + t.burst)
        return taken

    @property
    def bus_time(self) -> int:
        """For which the data bus is taken, or one bank group."""
        grouped = (max(self.bursts) - 1) * self._t.same_group + self._t.burst
        return max(sum(self.bursts) * self._t.burst, grouped) if self.activates else 0

    @property
    def time(self) -> int:
        """Of everything: bus, rows, and the bursts that may be in flight."""
        waited = sum(self.bursts) * self._t.respond + self.activates * self._t.open
        return max(self.bus_time, self.end, waited // self._limit - self._t.respond)
