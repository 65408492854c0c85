"""How long a transfer takes in the DRAM: docs/timing.md, section 6, as the largest of five bounds.

    data bus     bursts x burst, of the busiest channel
    bank group   (its bursts - 1) x tCCD_L + those of other groups x max(0, 2 burst - tCCD_L) + burst
    activates    rows opened x max(tRRD, tFAW / 4)
    rows         one change of rows after the other, in the order of the requests (predict_rows.py)
    in flight    (bursts x respond + activates x tRCD) / bursts in flight - respond
times tREFI / (tREFI - R). Exact for a dense run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from compiler.analysis.predict_accesses import Pieces, pieces_of
from compiler.analysis.predict_rows import RowsInOrder, RowTimes
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
    """Nanoseconds of reads or of writes: a request's data in an open row; a refresh. How many bursts may be in flight."""

    rows: RowTimes
    respond: float
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
        self.burst, self.open = t.burst.value, t.tRCD.value
        self.same_group = max(t.burst.value, t.tCCD_L.value)
        self.other_group = max(0.0, 2 * t.burst.value - self.same_group)
        self.activate = max(t.tRRD.value, t.tFAW.value / 4)
        self.interval = t.tREFI.value
        self.directions = {
            write: Direction(
                RowTimes(
                    burst=self.burst,
                    same_group=self.same_group,
                    open=self.open,
                    close=t.tRP.value,
                    activate=self.activate,
                    row_cycle=t.tRC.value,
                    reopen=t.burst.value + recovery + t.tRP.value + t.tRCD.value,
                    groups=self.groups,
                ),
                t.controller.value + column + t.burst.value,
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
        rows = self._rows(td, pieces, counted, use)
        busiest, activates = max(rows.bursts.values()), max(rows.activates.values())
        grouped = [self._grouped(rows.bursts[channel], own) for (channel, _), own in rows.in_group.items()]
        bus = max(busiest * self.burst, *grouped)
        waited = (busiest * use.respond + activates * self.open) / use.limit - use.respond
        time = max(bus, (activates - 1) * self.activate + self.burst, rows.end, waited)
        scale = pieces.count / counted * self.interval / (self.interval - use.refresh)
        size = round(rows.bursts.total() * pieces.count / counted) * self.burst_bytes
        return Moved(max(1, self.cycles(time * scale)), max(1, self.cycles(bus * scale)), size)

    def _grouped(self, bursts: int, own: int) -> float:
        """For how long a bank group is taken by its own bursts, with those of the others of its channel in between."""
        return (own - 1) * self.same_group + (bursts - own) * self.other_group + self.burst

    def _rows(self, td: Descriptor, pieces: Pieces, counted: int, use: Direction) -> RowsInOrder:
        """The first runs of a transfer."""
        rows = RowsInOrder(use.rows)
        for start in starts_of(td, pieces, counted):
            for channel, first, end in self._shares(start, pieces.run_bytes):
                for number in range(first // self.row_bursts, (end - 1) // self.row_bursts + 1):
                    row, place = divmod(number, self.banks_per_group)
                    begin = max(first, number * self.row_bursts)
                    rows.add(channel, place, row, begin, min(end, (number + 1) * self.row_bursts) - begin)
            rows.next_run()
        return rows

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
