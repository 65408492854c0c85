"""DRAM transfers in closed form: bursts, activates and row hits per channel and bank, and the time they need.

Address map, low bits first: burst | channel interleave | ... Within a channel, consecutive bursts alternate between
`bank_group_interleave` bank groups, so that a dense stream never waits for tCCD_L; then come column, bank, row. A
transfer starts with every row closed; rows stay open within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isa.descriptor import Descriptor
from isa.machine_memory import Memory
from simulator.timing.sram import Runs, ceil_div, runs_of

# Transfers of more runs than this are counted on the first ones and extended in proportion.
MAX_COUNTED_RUNS = 256
PICOSECONDS = 1000


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


class _Channel:
    """Counts of one channel within one transfer, by bank-group phase and bank."""

    def __init__(self, phases: int) -> None:
        self.bursts = [0] * phases
        self.open_rows: dict[tuple[int, int], int] = {}
        self.activates: dict[tuple[int, int], int] = {}


class Dram:
    """Closed forms for one memory seen by a core with the given clock."""

    def __init__(self, memory: Memory, clock_hz: int) -> None:
        timing = memory.timing
        self._clock_hz = clock_hz
        self._channels = memory.channels.value
        self._interleave = memory.address_map.channel_interleave_bytes.value
        self.burst_bytes = memory.burst_bytes.value
        self._phases = memory.address_map.bank_group_interleave.value
        self._super_row_bytes = memory.row_bytes.value * self._phases
        self._banks_per_phase = memory.banks.value // self._phases
        self._burst_ps = _ps(timing.burst.value)
        self._same_group_ps = _ps(timing.tCCD_L.value)
        self._activate_ps = max(_ps(timing.tRRD.value), _ps(timing.tFAW.value) // 4)
        write_chain = timing.tRCD.value + timing.WL.value + timing.burst.value + timing.tWR.value + timing.tRP.value
        self._bank_cycle_ps = (_ps(timing.tRC.value), max(_ps(timing.tRC.value), _ps(write_chain)))
        self._refresh_ps = (_ps(timing.tREFI.value), _ps(timing.tREFI.value) - _ps(timing.tRFC.value))
        first = timing.controller.value + timing.tRCD.value + timing.burst.value
        self.read_latency = self.cycles_of_ps(_ps(first + timing.RL.value))
        self.write_latency = self.cycles_of_ps(_ps(first + timing.WL.value))
        self.read_to_write = self.cycles_of_ps(_ps(timing.tRTW.value))
        self.write_to_read = self.cycles_of_ps(_ps(timing.tWTR.value + timing.RL.value))
        self.period_bytes = self._channels * max(self._interleave, self._super_row_bytes)
        """A transfer that lies this much higher in memory uses other banks in the same way, and the same channels."""

    def cycles_of_ps(self, picoseconds: int) -> int:
        """Rounded up to whole cycles."""
        return ceil_div(picoseconds * self._clock_hz, 1_000_000_000_000)

    def transfer(self, td: Descriptor, *, write: bool) -> Transfer:
        """The cost of reading or writing all elements of a tensor, run by run in ascending dimensions."""
        runs = runs_of(td)
        channels = [_Channel(self._phases) for _ in range(self._channels)]
        counted = min(runs.count, MAX_COUNTED_RUNS)
        # Whole periods before the base change nothing, and costs are memoised without them.
        skipped = td.base - td.base % self.period_bytes
        for start in _starts(td, runs, counted):
            self._add_run(channels, start - skipped, runs.run_bytes)
        picoseconds = max(self._channel_ps(channel, write) for channel in channels)
        bus = max(self._bus_ps(channel) for channel in channels)
        bursts = sum(sum(channel.bursts) for channel in channels)
        activates = sum(sum(channel.activates.values()) for channel in channels)
        if counted < runs.count:
            picoseconds, bus, bursts, activates = (
                ceil_div(number * runs.count, counted) for number in (picoseconds, bus, bursts, activates)
            )
        return Transfer(bursts, activates, self._refreshed_cycles(picoseconds), self._refreshed_cycles(bus))

    def _refreshed_cycles(self, picoseconds: int) -> int:
        interval, available = self._refresh_ps
        return max(1, ceil_div(picoseconds * interval * self._clock_hz, available * 1_000_000_000_000))

    def _add_run(self, channels: list[_Channel], low: int, size: int) -> None:
        """Adds the bursts that cover [low, low + size) to the channels they fall on."""
        burst, interleave, count = self.burst_bytes, self._interleave, self._channels
        start, end = low // burst * burst, ceil_div(low + size, burst) * burst
        first_chunk, last_chunk = start // interleave, (end - 1) // interleave
        for index in range(min(count, last_chunk - first_chunk + 1)):
            first = first_chunk + index
            last = last_chunk - (last_chunk - first) % count
            local_start = first // count * interleave + (start % interleave if index == 0 else 0)
            local_end = last // count * interleave + ((end - 1) % interleave + 1 if last == last_chunk else interleave)
            self._add_local(channels[first % count], local_start // burst, local_end // burst)

    def _add_local(self, channel: _Channel, first: int, end: int) -> None:
        """Adds the bursts [first, end) of a channel: counts them by phase and opens the rows they need."""
        phases, per_super = self._phases, self._super_row_bytes // self.burst_bytes
        for phase in range(phases):
            lowest = first + (phase - first) % phases
            if lowest >= end:
                continue
            highest = end - 1 - (end - 1 - phase) % phases
            channel.bursts[phase] += (highest - lowest) // phases + 1
            self._open_rows(channel, phase, lowest // per_super, highest // per_super)

    def _open_rows(self, channel: _Channel, phase: int, first: int, last: int) -> None:
        banks = self._banks_per_phase
        for bank_step in range(min(banks, last - first + 1)):
            lowest = first + bank_step
            key = (phase, lowest % banks)
            rows = (last - lowest) // banks + 1
            was_open = channel.open_rows.get(key) == lowest
            channel.activates[key] = channel.activates.get(key, 0) + rows - was_open
            channel.open_rows[key] = lowest + (rows - 1) * banks

    def _channel_ps(self, channel: _Channel, write: bool) -> int:
        """The slowest of data bus, activates of the channel, and the row cycles of its busiest bank."""
        activates = sum(channel.activates.values()) * self._activate_ps
        chain = max(channel.activates.values(), default=0) * self._bank_cycle_ps[write]
        return max(self._bus_ps(channel), activates, chain)

    def _bus_ps(self, channel: _Channel) -> int:
        return max(sum(channel.bursts) * self._burst_ps, max(channel.bursts) * self._same_group_ps)


def _ps(nanoseconds: float) -> int:
    return round(nanoseconds * PICOSECONDS)


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
