"""What a `ld` or `st` costs: the rules of simulator/timing/dram.py and costs.py on arrays.

Sizes are powers of two, so places are bits of addresses; an arithmetic shift rounds down, of negative numbers too.
"""

from __future__ import annotations

from isa.spec import Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Core, Cost, Ints
from simulator.fast.price_access import access, ceil_div, runs_of
from simulator.fast.price_channel import add_bursts, begin_transfer, totals
from simulator.fast.price_layout import Number, Shape, Transfer
from simulator.fast.price_units import MAX_SHARED, SMEM_ACTION, add_action, share_of
from simulator.timing.actions import ACTION_INDEX
from simulator.timing.dram import MAX_COUNTED_RUNS

SMEM = int(Region.SMEM)
ACTIVATE, BURST, ROW_HIT = (ACTION_INDEX[f"dram.{name}"] for name in ("activate", "burst", "row_hit"))
DRAM_READ, DRAM_WRITE = ACTION_INDEX["dram.read"], ACTION_INDEX["dram.write"]
FIRST_READ, FIRST_WRITE = ACTION_INDEX["read.WEIGHT"], ACTION_INDEX["write.WEIGHT"]
PORT_WRITE, PORT_READ = ACTION_INDEX["sram_write.dml"], ACTION_INDEX["sram_read.dms"]
LARGEST = 1 << 62


@compiled
def price_copy(s: Block, cost: Ints, base: int, write: int) -> bool:
    """Operands 0 and 1 are target and source; `base` is that of the one in DRAM. False: too much for 64 bits."""
    outside, inside = s.shapes[1 - write], s.shapes[write]
    time, bus, bursts, activates = transfer(s, outside, base, write)
    streamed, bus_cycles = refreshed_cycles(s, time, write), refreshed_cycles(s, bus, write)
    beats, banks, smem_bytes = inner_access(s, inside, write)
    cycles = max(streamed, beats)
    if min(time, streamed) < 0 or max(cycles, banks) > MAX_SHARED:
        return False
    cost[Cost.CYCLES], cost[Cost.DRAM_SHARE] = cycles, share_of(bus_cycles, cycles)
    if smem_bytes > 0:
        add_action(cost, SMEM_ACTION, smem_bytes)
    else:
        cost[Cost.SRAM_SHARE] = share_of(banks, s.machine[Number.BANKS] * cycles)
        add_action(cost, PORT_READ if write else PORT_WRITE, banks * s.machine[Number.BANK_BYTES])
    count, run_bytes, _, _, _ = runs_of(outside)
    add_action(cost, ACTIVATE, activates)
    add_action(cost, BURST, bursts)
    add_action(cost, ROW_HIT, bursts - activates)
    add_action(cost, DRAM_WRITE if write else DRAM_READ, bursts << s.machine[Number.LOG_BURST])
    add_action(cost, (FIRST_WRITE if write else FIRST_READ) + outside[Shape.REGION], count * run_bytes)
    return True


@compiled
def inner_access(s: Block, d: Ints, write: int) -> tuple[int, int, int]:
    """(port cycles, bank accesses in SRAM, bytes in SMEM) of the side on the chip."""
    count, run_bytes, stride, rows, pitch = runs_of(d)
    if d[Shape.REGION] == SMEM:
        beats, _ = access(s, count, run_bytes, stride, rows, pitch, s.machine[Number.SMEM_PORT])
        return beats, 0, count * run_bytes
    beats, banks = access(s, count, run_bytes, stride, rows, pitch, s.transfer_numbers[write, Transfer.PORT])
    return max(beats, ceil_div(banks, s.machine[Number.BANKS])), banks, 0


@inlined
def refreshed_cycles(s: Block, picoseconds: int, write: int) -> int:
    """Core cycles; -1 if they are too many."""
    numerator, denominator = (
        s.transfer_numbers[write, Transfer.NUMERATOR],
        s.transfer_numbers[write, Transfer.DENOMINATOR],
    )
    if numerator == 0 or picoseconds > LARGEST // numerator - denominator:
        return -1
    return max(1, ceil_div(picoseconds * numerator, denominator))


@compiled
def transfer(s: Block, d: Ints, base: int, write: int) -> tuple[int, int, int, int]:
    """(picoseconds, those of the busiest bus, bursts, activates) of all runs; a time of -1 if it is too long."""
    count, run_bytes, stride, _, _ = runs_of(d)
    begin_transfer(s)
    counted = min(count, MAX_COUNTED_RUNS)
    n0, n1, n2, n3 = run_extents(d, count, stride != 0)
    low, left, sent = base & s.core[Core.PERIOD_MASK], counted, 0
    for i3 in range(n3):
        for i2 in range(n2):
            for i1 in range(n1):
                row = low + i1 * d[Shape.S1] + i2 * d[Shape.S2] + i3 * d[Shape.S3]
                for i0 in range(min(n0, left)):
                    sent = add_run(s, row + i0 * d[Shape.S0], run_bytes, sent, write)
                left -= min(n0, left)
                if left == 0:
                    break
            if left == 0:
                break
        if left == 0:
            break
    time, bus, bursts, activates = totals(s, write)
    if counted < count:
        if max(time, bus) > LARGEST // count - counted:
            return -1, 0, 0, 0
        time, bus = ceil_div(time * count, counted), ceil_div(bus * count, counted)
        bursts, activates = ceil_div(bursts * count, counted), ceil_div(activates * count, counted)
    return time, bus, bursts, activates


@compiled
def run_extents(d: Ints, count: int, is_strided: bool) -> tuple[int, int, int, int]:
    """How many runs there are in each dimension: 1 in those that are inside a run."""
    n3, left = d[Shape.E3], count // d[Shape.E3] if count > 1 else 1
    if count == 1:
        n3 = 1
    n2 = d[Shape.E2] if left > 1 else 1
    left = left // n2
    n1 = d[Shape.E1] if left > 1 else 1
    left = left // n1
    return d[Shape.E0] if left > 1 and is_strided else 1, n1, n2, n3


@compiled
def add_run(s: Block, low: int, size: int, sent: int, write: int) -> int:
    """The bursts that cover [low, low + size), the first request coming at `sent`; returns when the last one is taken."""
    machine = s.machine
    burst, interleave, log_channels = (
        machine[Number.LOG_BURST],
        machine[Number.LOG_INTERLEAVE],
        machine[Number.LOG_CHANNELS],
    )
    start, end = low >> burst << burst, (low + size + (1 << burst) - 1) >> burst << burst
    first_chunk, last_chunk = start >> interleave, (end - 1) >> interleave
    inside, channels, taken = (1 << interleave) - 1, 1 << log_channels, sent
    for index in range(min(channels, last_chunk - first_chunk + 1)):
        first = first_chunk + index
        last = last_chunk - (last_chunk - first & channels - 1)
        local_start = (first >> log_channels << interleave) + (start & inside if index == 0 else 0)
        local_end = (last >> log_channels << interleave) + (
            (end - 1 & inside) + 1 if last == last_chunk else inside + 1
        )
        channel = first & channels - 1
        taken = max(taken, add_bursts(s, channel, local_start >> burst, local_end >> burst, sent, write))
    return taken
