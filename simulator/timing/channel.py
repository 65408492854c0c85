"""One DRAM channel during one transfer: which rows are opened, and when their bursts can move. docs/timing.md, section 6.

Times are in picoseconds, from the first column command (read or write) of the transfer on: an activate counts as the first
column command to its row, tRCD later.
"""

from __future__ import annotations

from dataclasses import dataclass

from isa.machine_memory import Memory
from simulator.timing.server import Server

PICOSECONDS = 1000


def picoseconds(nanoseconds: float) -> int:
    return round(nanoseconds * PICOSECONDS)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals of transfers in one direction: what follows from the JEDEC parameters.

    `same_group`: between two bursts of a bank group. `other_group`: what a burst of another group takes of a group: two bursts
    of a group are as far apart as two bursts if one of another group moves in between. `close`: the precharge before an
    activate. `reopen`: from the last column command to a row until the first one to another row of the bank. `respond`: from
    a request until its data are over, in a row that is open. `refresh`: without column commands around a refresh.
    """

    burst: int
    same_group: int
    other_group: int
    activate: int
    row_cycle: int
    open: int
    close: int
    reopen: int
    respond: int
    refresh: int
    refresh_interval: int

    @staticmethod
    def of(memory: Memory, *, write: bool) -> Intervals:
        t = memory.timing
        burst = picoseconds(t.burst.value)
        same_group = max(burst, picoseconds(t.tCCD_L.value))
        recovery = t.WL.value + t.tWR.value if write else 0.0
        column = t.WL.value if write else t.RL.value
        return Intervals(
            burst=burst,
            same_group=same_group,
            other_group=max(0, 2 * burst - same_group),
            activate=max(picoseconds(t.tRRD.value), picoseconds(t.tFAW.value) // 4),
            row_cycle=picoseconds(t.tRC.value),
            open=picoseconds(t.tRCD.value),
            close=picoseconds(t.tRP.value),
            reopen=picoseconds(t.burst.value + recovery + t.tRP.value + t.tRCD.value),
            respond=picoseconds(t.controller.value + column + t.burst.value),
            refresh=picoseconds(recovery + t.tRP.value + t.tRFC.value + t.tRCD.value),
            refresh_interval=picoseconds(t.tREFI.value),
        )


class _Bank:
    __slots__ = ("last", "opened", "ready", "row")

    def __init__(self) -> None:
        self.row = -1
        self.opened = 0  # the first column command to the open row can be
        self.last = 0  # the last one to it
        self.ready = 0  # the first one to another row can be


@dataclass(slots=True)
class _Visit:
    """Bursts of one run to one row of a bank. `place`: that of the last one among the bursts of all groups to this row;
    `ready`: when the bank can serve them, activates aside; `begin`: when the first one moves.
    """

    group: int
    bank: _Bank
    row: int
    bursts: int
    place: int
    ready: int
    begin: int = 0


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
        self._bus, self._opens = Server(), Server()
        self._columns = [Server() for _ in range(groups)]
        self._end = 0  # of the last burst

    def add(self, first: int, end: int, sent: int) -> int:
        """Moves the bursts [first, end) of the channel, whose requests come at `sent`; returns when the last one is taken."""
        taken, per_row = sent, self._row_bursts * self._groups
        for row in range(first // per_row, (end - 1) // per_row + 1):
            taken = max(taken, self._add_row(row, max(first, row * per_row), min(end, (row + 1) * per_row), sent))
        return max(taken, self._last_sent())

    def _last_sent(self) -> int:
        """When the last request so far comes, as the one has ended that was as many before it as may be in flight."""
        t, later = self._t, self._limit + 1
        if sum(self.bursts) < later:
            return 0
        before = max(server.before(later * t.same_group) for server in self._columns)
        return max(before, self._bus.before(later * t.burst)) + t.respond + t.open

    def _add_row(self, number: int, low: int, end: int, sent: int) -> int:
        """The bursts [low, end) to one row of each group, rows counted through the banks of a group. Returns when the banks take
        the requests: a bank has those for one row at a time.
        """
        t, bursts = self._t, end - low
        visits = [self._visit(number, low, end, i, sent) for i in range(min(self._groups, bursts))]
        left = [visit.bank.last + t.open for visit in visits if 0 <= visit.bank.row != visit.row]
        visits.sort(key=lambda visit: visit.ready)
        ready = visits[0].ready
        start = self._bus.take(ready, bursts * t.burst)
        for visit in visits:
            self._begin(visit, start, bursts - visit.bursts)
        for i in range(len(visits), self._groups):
            self._columns[(low + i) % self._groups].take(ready, bursts * t.other_group)
        self._end_visits(visits)
        return max(sent, *left) if left else sent

    def _visit(self, number: int, low: int, end: int, i: int, sent: int) -> _Visit:
        """What the group of the burst low + i has to do. A row that is open can be read or written when requests come, another
        one has to be closed before.
        """
        group = (low + i) % self._groups
        row, place = divmod(number, self._banks_per_group)
        bank = self._banks.setdefault((group, place), _Bank())
        if bank.row == row:
            ready = max(bank.opened, sent - self._t.open)
        else:
            ready = max(bank.ready, sent + self._t.close) if bank.row >= 0 else sent
        bursts = (end - low - i - 1) // self._groups + 1
        return _Visit(group, bank, row, bursts, i + (bursts - 1) * self._groups, ready)

    def _begin(self, visit: _Visit, start: int, others: int) -> None:
        """Opens the row if need be; the first burst moves when the bus, from `start`, the bank group and the row are ready."""
        t, bank = self._t, visit.bank
        ready = max(visit.ready, bank.last + t.same_group) if bank.row == visit.row else visit.ready
        column = self._columns[visit.group].take(ready, visit.bursts * t.same_group + others * t.other_group)
        self.bursts[visit.group] += visit.bursts
        if bank.row != visit.row:
            bank.row, bank.opened = visit.row, self._opens.take(visit.ready, t.activate)
            bank.ready = bank.opened + t.row_cycle
            self.activates += 1
        visit.begin = max(start, column, bank.opened)

    def _end_visits(self, visits: list[_Visit]) -> None:
        """When the last bursts of each group move. Groups that are busy at the same time take turns."""
        t = self._t
        first = min(visit.begin for visit in visits)
        for visit in visits:
            last = visit.begin + (visit.bursts - 1) * t.same_group
            if any(other.begin <= last for other in visits if other is not visit):
                last = max(last, first + visit.place * t.burst)
            bank = visit.bank
            bank.last = max(bank.last, last)
            bank.ready = max(bank.ready, bank.last + t.reopen)
            self._end = max(self._end, bank.last + t.burst)

    @property
    def bus_time(self) -> int:
        """For which the data bus is taken, or one bank group."""
        t, bursts, most = self._t, sum(self.bursts), max(self.bursts)
        grouped = (most - 1) * t.same_group + (bursts - most) * t.other_group + t.burst
        return max(bursts * t.burst, grouped) if bursts else 0

    @property
    def time(self) -> int:
        """Of everything: bus, bank groups, rows, and the bursts that may be in flight."""
        t = self._t
        waited = sum(self.bursts) * t.respond + self.activates * t.open
        columns = max(server.end for server in self._columns) - t.same_group + t.burst
        return max(self._bus.end, columns, self._end, waited // self._limit - t.respond)
