"""DRAM transfers: bursts, activates and row hits, and the time they need. Run by run, not burst by burst.

Address map, low bits first: burst | channel interleave | ... Within a channel, consecutive bursts alternate between
`bank_group_interleave` bank groups, so that a dense stream never waits for tCCD_L; then come column, bank, row. A
transfer starts with every row closed; rows stay open within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from isa.descriptor import Descriptor
from isa.machine import Machine
from simulator.timing.channel import Channel, Intervals, picoseconds
from simulator.timing.sram import Runs, ceil_div, runs_of

# Transfers of more runs than this are counted on the first ones and extended in proportion.
MAX_COUNTED_RUNS = 1024
MAX_MEMOISED = 1 << 12
MAX_IN_FLIGHT_CYCLES = 1 << 20  # shares of them are worked out in 64 bits
PICOSECONDS_PER_SECOND = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one transfer does in the DRAM. Time in core cycles, refresh included, without the latency of first access.

    `bus_cycles` is the part in which the data bus of the busiest channel is occupied.
    """

    bursts: int
    activates: int
    cycles: int
    bus_cycles: int

    @property
    def row_hits(self) -> int:
        return self.bursts - self.activates


class RefreshCycles(NamedTuple):
    """Core cycles without reads around a refresh, without writes, and from one refresh to the next."""

    read: int
    write: int
    interval: int


class Dram:
    """The memory of a machine, seen by its core."""

    def __init__(self, machine: Machine) -> None:
        self._memory, self._clock_hz = machine.memory, machine.clock_hz
        memory, core = self._memory, machine.core
        self.burst_bytes = memory.burst_bytes.value
        self._channels = memory.channels.value
        self._interleave = memory.address_map.channel_interleave_bytes.value
        self._groups = memory.address_map.bank_group_interleave.value
        self._intervals = tuple(Intervals.of(memory, write=write) for write in (False, True))
        self.limits = tuple(  # bursts of an engine in flight on each channel, loads and stores
            max(1, dma.outstanding_bytes.value // (self.burst_bytes * self._channels)) for dma in (core.dml, core.dms)
        )
        self.in_flight = tuple(
            min(MAX_IN_FLIGHT_CYCLES, self.cycles_of_ps(limit * t.burst))
            for limit, t in zip(self.limits, self._intervals, strict=True)
        )
        """Of the data bus of a channel, for what a load or a store may have in flight."""
        self._cycles_per_ps = tuple(
            self.refreshed_cycles_per_ps(write=write).as_integer_ratio() for write in (False, True)
        )
        self.read_latency, self.write_latency = (
            self.cycles_of_ps(t.open + t.respond - t.burst) for t in self._intervals
        )
        timing = memory.timing
        self.read_to_write = self.cycles_of_ps(picoseconds(timing.tRTW.value))
        self.write_to_read = self.cycles_of_ps(picoseconds(timing.tWTR.value + timing.RL.value))
        self.refresh = RefreshCycles(
            self.cycles_of_ps(self._intervals[0].refresh),
            self.cycles_of_ps(self._intervals[1].refresh),
            max(1, self.cycles_of_ps(self._intervals[0].refresh_interval)),
        )
        self.period_bytes = self._channels * max(self._interleave, memory.row_bytes.value * self._groups)
        """A transfer that lies this much higher in memory uses other banks in the same way, and the same channels."""
        self._memo: dict[object, Transfer] = {}

    def cycles_of_ps(self, picoseconds: int) -> int:
        """Rounded up to whole cycles."""
        return ceil_div(picoseconds * self._clock_hz, PICOSECONDS_PER_SECOND)

    def transfer(self, td: Descriptor, *, write: bool) -> Transfer:
        """The cost of reading or writing all elements of a tensor, run by run in ascending dimensions.

        Whole periods before the base change nothing; keys and values, say, are alike.
        """
        key = td.base % self.period_bytes, td.dtype, td.extents, td.strides, td.glog2, td.fmt, write
        found = self._memo.get(key)
        if found is None:
            if len(self._memo) >= MAX_MEMOISED:
                self._memo.clear()
            found = self._memo[key] = self._computed(td, write)
        return found

    def _computed(self, td: Descriptor, write: bool) -> Transfer:
        runs = runs_of(td)
        channels = self._idle_channels(write)
        counted = min(runs.count, MAX_COUNTED_RUNS)
        skipped = td.base - td.base % self.period_bytes
        sent = 0
        for start in _starts(td, runs, counted):
            sent = self._add_run(channels, start - skipped, runs.run_bytes, sent)
        time = max(channel.time for channel in channels)
        bus = max(channel.bus_time for channel in channels)
        bursts = sum(sum(channel.bursts) for channel in channels)
        activates = sum(channel.activates for channel in channels)
        if counted < runs.count:
            time, bus, bursts, activates = (
                ceil_div(number * runs.count, counted) for number in (time, bus, bursts, activates)
            )
        return Transfer(bursts, activates, self._refreshed_cycles(time, write), self._refreshed_cycles(bus, write))

    def _idle_channels(self, write: bool) -> list[Channel]:
        memory = self._memory
        row_bursts = memory.row_bytes.value // self.burst_bytes
        return [
            Channel(self._intervals[write], self._groups, memory.banks.value, row_bursts, self.limits[write])
            for _ in range(self._channels)
        ]

    def refreshed_cycles_per_ps(self, *, write: bool) -> Fraction:
        """Core cycles that a picosecond of transfer takes, with its part of refresh."""
        t = self._intervals[write]
        available = max(1, t.refresh_interval - t.refresh)
        return Fraction(t.refresh_interval * self._clock_hz, available * PICOSECONDS_PER_SECOND)

    def _refreshed_cycles(self, picoseconds: int, write: bool) -> int:
        numerator, denominator = self._cycles_per_ps[write]
        return max(1, ceil_div(picoseconds * numerator, denominator))

    def _add_run(self, channels: list[Channel], low: int, size: int, sent: int) -> int:
        """Adds the bursts that cover [low, low + size) to the channels they fall on, the first request coming at `sent`;
        returns when the last one is taken.
        """
        burst, interleave, count = self.burst_bytes, self._interleave, self._channels
        start, end = low // burst * burst, ceil_div(low + size, burst) * burst
        first_chunk, last_chunk = start // interleave, (end - 1) // interleave
        taken = sent
        for index in range(min(count, last_chunk - first_chunk + 1)):
            first = first_chunk + index
            last = last_chunk - (last_chunk - first) % count
            local_start = first // count * interleave + (start % interleave if index == 0 else 0)
            local_end = last // count * interleave + ((end - 1) % interleave + 1 if last == last_chunk else interleave)
            channel = channels[first % count]
            taken = max(taken, channel.add(local_start // burst, local_end // burst, sent))
        return taken


def _starts(td: Descriptor, runs: Runs, limit: int) -> Iterator[int]:
    """Byte offsets of the first `limit` runs, dimension by dimension, innermost first."""
    if runs.count == 1:
        yield td.interval()[0]
        return
    dims = _run_dimensions(td, runs)
    index = [0] * len(dims)
    for _ in range(limit):
        yield td.base + sum(i * stride for i, (_, stride) in zip(index, dims, strict=True))
        for axis, (extent, _) in enumerate(dims):
            index[axis] += 1
            if index[axis] < extent:
                break
            index[axis] = 0


def _run_dimensions(td: Descriptor, runs: Runs) -> list[tuple[int, int]]:
    """The (extent, stride) pairs that are not inside a run: their extents multiply to runs.count."""
    dims = list(zip(td.extents, td.strides, strict=True))
    if not runs.stride:
        dims = dims[1:]
    kept: list[tuple[int, int]] = []
    remaining = runs.count
    for extent, stride in reversed(dims):
        if remaining > 1 and extent > 1:
            kept.append((extent, stride))
            remaining //= extent
    return kept[::-1]
