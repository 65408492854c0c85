"""The rows that a DRAM transfer opens, in the order of its requests: docs/timing.md, section 6.

An open row is used when the bus is free. In a bank where another row is open the request waits until the last burst of that one is asked
for, and all requests behind it wait, too; then the rows are changed. So a transfer of many short runs that meet in few banks
takes as long as one change of rows after the other, while each bank for itself, and the bus, would be done sooner.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

CLOSED = -1


@dataclass(frozen=True)
class RowTimes:
    """Nanoseconds: a burst, from one to the next in a bank group, tRCD, tRP, from one activate to the next, tRC, and from the last burst of
    a row to the first one of another row of the bank. How many bank groups take turns."""

    burst: float
    same_group: float
    open: float
    close: float
    activate: float
    row_cycle: float
    reopen: float
    groups: int


@dataclass
class Bank:
    """The row that is open, since when, and when its last burst was asked for."""

    row: int = CLOSED
    opened: float = 0.0
    last: float = 0.0


@dataclass
class Bus:
    """Taken until `end`, but for the latest gap [low, high), which what comes in time can fill."""

    end: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def take(self, ready: float, time: float) -> float:
        """When it serves what is ready then."""
        start = max(ready, self.low)
        if start + time <= self.high:
            self.low = start + time
            return start
        start = max(ready, self.end)
        if start > self.end:
            self.low, self.high = self.end, start
        self.end = start + time
        return start


@dataclass
class RowsInOrder:
    """What one transfer has done: bursts by channel and by bank group, activates by channel. `end`: when the last burst is over.
    `sent`: when the requests of a run come, `taken`: those of the next one."""

    times: RowTimes
    bursts: Counter[int] = field(default_factory=Counter[int])
    in_group: Counter[tuple[int, int]] = field(default_factory=Counter[tuple[int, int]])
    activates: Counter[int] = field(default_factory=Counter[int])
    end: float = 0.0
    sent: float = 0.0
    taken: float = 0.0
    banks: defaultdict[tuple[int, int, int], Bank] = field(default_factory=lambda: defaultdict(Bank))
    buses: defaultdict[int, Bus] = field(default_factory=lambda: defaultdict(Bus))

    def next_run(self) -> None:
        self.sent = self.taken

    def add(self, channel: int, place: int, row: int, first: int, count: int) -> None:
        """So many bursts of a channel to a row of each bank group's bank `place`; the groups take turns from that of `first` on."""
        t, used = self.times, list[tuple[Bank, float, int]]()
        opened = -t.activate
        for i in range(min(t.groups, count)):
            group, own = (first + i) % t.groups, (count - i - 1) // t.groups + 1
            bank = self.banks[channel, group, place]
            if bank.row == row:
                ready = max(bank.opened, self.sent - t.open)
            else:
                ready = opened = max(self.when_changed(bank), opened + t.activate)
                self.activates[channel] += 1
            used.append((bank, ready, own))
            self.in_group[channel, group] += own
        self.bursts[channel] += count
        start = self.buses[channel].take(min(ready for _, ready, _ in used), count * t.burst)
        for bank, ready, own in used:
            begin = max(start, ready)
            if bank.row == row:
                begin = max(begin, bank.last + t.same_group)
            else:
                bank.row, bank.opened = row, ready
            bank.last = max(bank.last, begin + (own - 1) * t.same_group)
            self.end = max(self.end, bank.last + t.burst)

    def when_changed(self, bank: Bank) -> float:
        """When another row of a bank can be used. What comes behind comes later, if one is open."""
        if bank.row == CLOSED:
            return self.sent
        t = self.times
        self.taken = max(self.taken, bank.last + t.open)
        return max(self.sent + t.close, bank.opened + t.row_cycle, bank.last + t.reopen)
