"""DRAM channels, command by command: activate, read, write, precharge and all-bank refresh under the JEDEC intervals.

Time is in picoseconds. A channel serves one direction at a time, row hits and ready banks first, the oldest among equals;
each bank its own requests in order. Requests of an engine come to the channels in order. A bank takes only those of one row:
another one waits until it is done, and those behind it, whatever their bank.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from isa.machine import Machine

PAST = -(1 << 60)
BATCH = 32
"""Bursts, or the time that they take on the bus, after which an older instruction of the other direction gets its turn."""


def picoseconds(nanoseconds: float) -> int:
    return round(nanoseconds * 1000)


@dataclass
class Request:
    """One burst. `ready_ps`: its channel has it. `done_ps`: its last byte has arrived at the core, or in the DRAM."""

    age: tuple[int, int]  # number of the instruction, and of the request
    write: bool
    bank: int
    group: int
    row: int
    ready_ps: int
    done_ps: int | None = None


@dataclass
class Bank:
    """The row that is open, and when its last commands were."""

    row: int | None = None
    activate: int = PAST
    precharge: int = PAST
    read: int = PAST
    write: int = PAST
    waiting: tuple[deque[Request], deque[Request]] = field(default_factory=lambda: (deque(), deque()))


@dataclass
class Counts:
    """Commands so far."""

    activates: int = 0
    bursts: int = 0
    refreshes: int = 0


class Channel:
    """One channel: banks, command order, data bus."""

    def __init__(self, machine: Machine, first_refresh_ps: int) -> None:
        timing = machine.memory.timing
        self._t = {name: picoseconds(getattr(timing, name).value) for name in type(timing).model_fields}
        self._banks: dict[int, Bank] = {}
        self._busy: list[set[int]] = [set(), set()]  # banks with requests, by direction
        self._queued = [0, 0]
        self._write, self._batch = False, 0
        self._turned: int | None = None  # when the first command in this direction was
        self._activates: deque[int] = deque([PAST] * 4, 4)
        self._last = [PAST, PAST]  # read, write command
        self._group_last: dict[int, int] = {}
        self._refresh_due = first_refresh_ps
        self._blocked_until = PAST
        self.counts = Counts()

    def takes(self, request: Request) -> bool:
        """Whether the bank has no requests for another row."""
        bank = self._banks.get(request.bank)
        waiting = None if bank is None else bank.waiting[request.write]
        return not waiting or waiting[-1].row == request.row

    def add(self, request: Request) -> None:
        """A request arrives."""
        self._banks.setdefault(request.bank, Bank()).waiting[request.write].append(request)
        self._busy[request.write].add(request.bank)
        self._queued[request.write] += 1

    def advance(self, now: int) -> None:
        """Issues every command before `now`."""
        while any(self._queued):
            self._choose_direction()
            time, _, _, number = min(self._next_command(number) for number in self._busy[self._write])
            if time >= self._refresh_due:
                if self._refresh_due >= now:
                    return
                self._refresh()
            elif time >= now:
                return
            else:
                self._issue(time, number)
        while self._refresh_due < now:
            self._refresh()

    def _choose_direction(self) -> None:
        current, other = self._write, not self._write
        if not self._queued[other]:
            return
        if not self._queued[current] or (self._oldest(other) < self._oldest(current) and self._had_its_turn()):
            self._write, self._batch, self._turned = other, 0, None

    def _had_its_turn(self) -> bool:
        """Requests that wait for each other's rows use the bus little; others may not wait for all of them."""
        if self._batch >= BATCH:
            return True
        time, *_ = min(self._next_command(number) for number in self._busy[self._write])
        return self._turned is not None and time - self._turned >= BATCH * self._t["burst"]

    def _oldest(self, write: bool) -> tuple[int, int]:
        return min(self._banks[number].waiting[write][0].age for number in self._busy[write])

    def _next_command(self, number: int) -> tuple[int, bool, tuple[int, int], int]:
        """(time, whether it is no column command, age, bank) of what the oldest request of a bank needs next."""
        bank, t = self._banks[number], self._t
        request = bank.waiting[self._write][0]
        if bank.row == request.row:
            time = max(bank.activate + t["tRCD"], self._column_time(request.group))
        elif bank.row is None:
            time = max(
                bank.precharge + t["tRP"],
                bank.activate + t["tRC"],
                self._activates[-1] + t["tRRD"],
                self._activates[0] + t["tFAW"],
                self._blocked_until,
            )
        else:
            time = self._precharge_time(bank)
        return max(time, request.ready_ps), bank.row != request.row, request.age, number

    def _column_time(self, group: int) -> int:
        """The first time for a read or write, as far as the data bus and the bank group say."""
        t, (read, write) = self._t, self._last
        own, turned = write + t["burst"], read + t["RL"] + t["burst"] + t["tRTW"] - t["WL"]
        if not self._write:
            own, turned = read + t["burst"], write + t["WL"] + t["burst"] + t["tWTR"]
        return max(own, turned, self._group_last.get(group, PAST) + t["tCCD_L"])

    def _precharge_time(self, bank: Bank) -> int:
        t = self._t
        row_active = bank.activate + t["tRC"] - t["tRP"]
        return max(row_active, bank.read + t["burst"], bank.write + t["WL"] + t["burst"] + t["tWR"])

    def _issue(self, time: int, number: int) -> None:
        bank = self._banks[number]
        request = bank.waiting[self._write][0]
        if self._turned is None:
            self._turned = time
        if bank.row is None:
            bank.row, bank.activate = request.row, time
            self._activates.append(time)
            self.counts.activates += 1
        elif bank.row != request.row:
            bank.row, bank.precharge = None, time
        else:
            self._column(time, bank, number)

    def _column(self, time: int, bank: Bank, number: int) -> None:
        write = self._write
        request = bank.waiting[write].popleft()
        if not bank.waiting[write]:
            self._busy[write].remove(number)
        self._queued[write] -= 1
        self._batch += 1
        self._last[write] = self._group_last[request.group] = time
        if write:
            bank.write = time
        else:
            bank.read = time
        request.done_ps = time + self._t["WL" if write else "RL"] + self._t["burst"]
        self.counts.bursts += 1

    def _refresh(self) -> None:
        """All banks are precharged, then refreshed."""
        t, start = self._t, self._refresh_due
        for bank in self._banks.values():
            if bank.row is not None:
                bank.row, bank.precharge = None, max(self._refresh_due, self._precharge_time(bank))
            start = max(start, bank.precharge + t["tRP"])
        self._blocked_until = start + t["tRFC"]
        self._refresh_due += t["tREFI"]
        self.counts.refreshes += 1


class Memory:
    """All channels, and which of them an address is in."""

    def __init__(self, machine: Machine, first_refresh: float) -> None:
        memory = machine.memory
        self._hz = machine.clock_hz
        self.burst_bytes = memory.burst_bytes.value
        self._interleave = memory.address_map.channel_interleave_bytes.value
        self._groups = memory.address_map.bank_group_interleave.value
        self._row_bursts = memory.row_bytes.value // self.burst_bytes
        self._group_banks = memory.banks.value // self._groups
        self._sent = 0
        self._coming: tuple[deque[tuple[Channel, Request]], ...] = (deque(), deque())  # of loads, of stores
        self._controller_ps = picoseconds(memory.timing.controller.value)
        due = round(picoseconds(memory.timing.tREFI.value) * first_refresh)
        self.channels = [Channel(machine, due) for _ in range(memory.channels.value)]

    def start_of(self, cycle: int) -> int:
        """The picosecond at which a core cycle begins, rounded down."""
        return cycle * 1_000_000_000_000 // self._hz

    def advance(self, cycle: int) -> None:
        """Everything before this core cycle."""
        last, now = self.start_of(cycle - 1), self.start_of(cycle)
        for channel in self.channels:
            channel.advance(now)
        for requests in self._coming:
            while requests and requests[0][1].ready_ps <= now and requests[0][0].takes(requests[0][1]):
                channel, request = requests.popleft()
                request.ready_ps = max(request.ready_ps, last)
                channel.add(request)

    def channel_of(self, address: int) -> int:
        """The channel that has this byte."""
        return address // self._interleave % len(self.channels)

    def request(self, address: int, age: int, write: bool, cycle: int) -> Request:
        """Sends a burst-aligned request of the engine that reads or writes."""
        chunk, within = divmod(address, self._interleave)
        local_chunk, channel = divmod(chunk, len(self.channels))
        burst = (local_chunk * self._interleave + within) // self.burst_bytes
        column, group = divmod(burst, self._groups)
        row, bank = divmod(column // self._row_bursts, self._group_banks)
        ready = self.start_of(cycle) + self._controller_ps
        self._sent += 1
        made = Request((age, self._sent), write, group * self._group_banks + bank, group, row, ready)
        self._coming[write].append((self.channels[channel], made))
        return made
