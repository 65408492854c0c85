"""How long a transfer takes in the DRAM: docs/timing.md, section 6, as the largest of five bounds of the busiest channel.

    data bus     bursts x burst
    bank group   (its bursts - 1) x tCCD_L + those of other groups x max(0, 2 burst - tCCD_L) + burst
    activates    rows opened x max(tRRD, tFAW / 4)
    row cycle    rows opened in one bank x tRC, or what the last burst before needs
    in flight    (bursts x respond + activates x tRCD) / bursts in flight - respond
times tREFI / (tREFI - R). Exact for a dense run; runs in many places lose the waits that overlap only in part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from compiler.analysis.predict_accesses import Pieces, pieces_of
from compiler.sizes import ceil_div
from isa.descriptor import Descriptor
from isa.machine import Machine

MOST_COUNTED = 1024
"""Runs; more are extended in proportion. As many as the simulator counts: fewer could all fall on some of the channels."""


@dataclass(frozen=True)
class Moved:
    """Cycles without the first access's latency, refresh included; those of the data bus; bytes of whole bursts."""

    cycles: int
    bus_cycles: int
    size_bytes: int


@dataclass(frozen=True)
class Direction:
    """Nanoseconds of reads or of writes: a request's data in an open row; a bank's change of rows; a refresh."""

    respond: float
    reopen: float
    refresh: float
    limit: int


class DramForm:
    """The closed form for one machine."""

    def __init__(self, machine: Machine) -> None:
        memory, core = machine.memory, machine.core
        t = memory.timing
        self.cycles_per_ns = machine.clock_hz / 1e9
        self.channels, self.burst_bytes = memory.channels.value, memory.burst_bytes.value
        self.interleave = memory.address_map.channel_interleave_bytes.value
        self.groups = memory.address_map.bank_group_interleave.value
        self.banks_per_group = memory.banks.value // self.groups
        self.row_bursts = memory.row_bytes.value // self.burst_bytes * self.groups
        self.burst, self.open, self.row_cycle = t.burst.value, t.tRCD.value, t.tRC.value
        self.same_group = max(t.burst.value, t.tCCD_L.value)
        self.other_group = max(0.0, 2 * t.burst.value - self.same_group)
        self.activate = max(t.tRRD.value, t.tFAW.value / 4)
        self.interval = t.tREFI.value
        self.directions = {
            write: Direction(
                t.controller.value + column + t.burst.value,
                t.burst.value + recovery + t.tRP.value + t.tRCD.value,
                recovery + t.tRP.value + t.tRFC.value + t.tRCD.value,
                max(1, dma.outstanding_bytes.value // (self.burst_bytes * self.channels)),
            )
            for write, column, recovery, dma in (
                (False, t.RL.value, 0.0, core.dml),
                (True, t.WL.value, t.WL.value + t.tWR.value, core.dms),
            )
        }
        self.latency = {
            write: self.cycles(t.controller.value + t.tRCD.value + column)
            for write, column in ((False, t.RL.value), (True, t.WL.value))
        }
        self.turn = {True: self.cycles(t.tRTW.value), False: self.cycles(t.tWTR.value + t.RL.value)}
        """Idle cycles of the data bus before a transfer of the other direction, by the later one's."""
        self.in_flight = {write: self.cycles(use.limit * self.burst) for write, use in self.directions.items()}
        """Cycles of the data bus for the bursts in flight."""
        self.period_bytes = self.channels * max(self.interleave, memory.row_bytes.value * self.groups)

    def cycles(self, nanoseconds: float) -> int:
        return ceil(round(nanoseconds * self.cycles_per_ns, 6))

    def refresh_wait(self, write: bool, idle: float) -> int:
        """The mean of what is left of a refresh that began in `idle` cycles."""
        closed = self.cycles(self.directions[write].refresh)
        idle = min(max(0.0, idle), closed)
        return int((closed * idle - idle * idle / 2) // max(1, self.cycles(self.interval)))

    def moved(self, td: Descriptor, *, write: bool) -> Moved:
        """The cost of all elements of a tensor; what counts of the base is its place in `period_bytes`."""
        pieces, use = pieces_of(td), self.directions[write]
        counted = min(pieces.count, MOST_COUNTED)
        bursts, in_group, activates, in_bank = self._counts(td, pieces, counted)
        busiest = max(bursts.values())
        rows = max(activates.values())
        bus = max(busiest * self.burst, *(self._grouped(bursts[key[0]], own) for key, own in in_group.items()))
        waited = (busiest * use.respond + rows * self.open) / use.limit - use.respond
        visits = max(in_bank.values())
        reopened = (visits - 1) * max(self.row_cycle, use.reopen) + self.burst
        time = max(bus, (rows - 1) * self.activate + self.burst, waited, reopened)
        scale = pieces.count / counted * self.interval / (self.interval - use.refresh)
        size = round(sum(bursts.values()) * pieces.count / counted) * self.burst_bytes
        return Moved(max(1, self.cycles(time * scale)), max(1, self.cycles(bus * scale)), size)

    def _grouped(self, bursts: int, own: int) -> float:
        """For how long a bank group is taken by its own bursts, with those of the others of its channel in between."""
        return (own - 1) * self.same_group + (bursts - own) * self.other_group + self.burst

    def _counts(
        self, td: Descriptor, pieces: Pieces, counted: int
    ) -> tuple[Counter[int], Counter[tuple[int, int]], Counter[int], Counter[tuple[int, int, int]]]:
        """Bursts by channel and by bank group, activates by channel and by bank."""
        bursts: Counter[int] = Counter()
        in_group: Counter[tuple[int, int]] = Counter()
        activates: Counter[int] = Counter()
        in_bank: Counter[tuple[int, int, int]] = Counter()
        is_open: dict[tuple[int, int, int], int] = {}
        for start in starts_of(td, pieces, counted):
            for channel, first, end in self._shares(start, pieces.run_bytes):
                bursts[channel] += end - first
                for row in range(first // self.row_bursts, (end - 1) // self.row_bursts + 1):
                    held, place = divmod(row, self.banks_per_group)
                    begin = max(first, row * self.row_bursts)
                    touched = min(end, (row + 1) * self.row_bursts) - begin
                    for i in range(min(self.groups, touched)):
                        group = (begin + i) % self.groups
                        bank = channel, group, place
                        in_group[channel, group] += (touched - i - 1) // self.groups + 1
                        if is_open.get(bank) != held:
                            is_open[bank] = held
                            activates[channel] += 1
                            in_bank[bank] += 1
        return bursts, in_group, activates, in_bank

    def _shares(self, start: int, size: int) -> Iterator[tuple[int, int, int]]:
        """(channel, first burst, end) of each channel's part of a run, in the channel's own addresses."""
        burst, interleave, count = self.burst_bytes, self.interleave, self.channels
        low, high = start // burst * burst, ceil_div(start + size, burst) * burst
        first_piece, last_piece = low // interleave, (high - 1) // interleave
        for first in range(first_piece, min(first_piece + count, last_piece + 1)):
            last = last_piece - (last_piece - first) % count
            begin = first // count * interleave + (low % interleave if first == first_piece else 0)
            end = last // count * interleave + ((high - 1) % interleave + 1 if last == last_piece else interleave)
            yield first % count, begin // burst, end // burst


def starts_of(td: Descriptor, pieces: Pieces, limit: int) -> Iterator[int]:
    """Byte offsets of the first runs, innermost dimension first."""
    dims = [(e, s) for e, s in zip(td.extents, td.strides, strict=True) if e > 1]
    kept: list[tuple[int, int]] = []
    left = pieces.count
    for extent, stride in reversed(dims):
        if left > 1:
            kept.insert(0, (extent, stride))
            left //= extent
    for number in range(limit):
        offset, rest = td.base, number
        for extent, stride in kept:
            rest, index = divmod(rest, extent)
            offset += index * stride
        yield offset
