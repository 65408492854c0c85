"""What a `ld` or `st` costs: the rules of simulator/timing/dram.py, channel.py and costs.py on arrays.

Sizes are powers of two, so places are bits of addresses; an arithmetic shift rounds down, of negative numbers too.
"""

from __future__ import annotations

from isa.spec import Region
from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Core, Cost, Ints
from simulator.fast.price_access import access, ceil_div, runs_of
from simulator.fast.price_layout import MAX_CHANNEL_BANKS, Bank, Channel, Number, Shape, Transfer
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
def begin_transfer(s: Block) -> None:
    """All rows are closed."""
    machine, channels, banks = s.machine, s.channels, s.dram_banks
    for channel in range(1 << machine[Number.LOG_CHANNELS]):
        for column in range(Channel.LENGTH):
            channels[channel, column] = 0
        first = channel * MAX_CHANNEL_BANKS
        for bank in range(first, first + (1 << machine[Number.LOG_BANKS])):
            banks[bank, Bank.ROW], banks[bank, Bank.LAST], banks[bank, Bank.READY] = -1, 0, 0


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


@compiled
def add_bursts(s: Block, channel: int, first: int, end: int, sent: int, write: int) -> int:
    """Moves the bursts [first, end) of a channel; returns when the last one is taken."""
    t, state, log_groups = s.transfer_numbers[write], s.channels[channel], s.machine[Number.LOG_GROUPS]
    groups = 1 << log_groups
    step = max(t[Transfer.SAME_GROUP], min(groups, end - first) * t[Transfer.BURST])
    begin = max(state[Channel.BUS], sent - t[Transfer.OPEN])
    bus = begin + (end - first) * t[Transfer.BURST]
    state[Channel.BUS], state[Channel.END] = bus, max(state[Channel.END], bus)
    taken = max(sent, bus - t[Transfer.LIMIT] * t[Transfer.BURST] + t[Transfer.OPEN] + t[Transfer.RESPOND])
    log_row = s.machine[Number.LOG_ROW_BURSTS] + log_groups
    for group in range(groups):
        lowest = first + (group - first & groups - 1)
        if lowest < end:
            highest = end - 1 - (end - 1 - group & groups - 1)
            state[Channel.GROUP + group] += (highest - lowest >> log_groups) + 1
            for row in range(lowest >> log_row, (highest >> log_row) + 1):
                low, high = max(lowest, row << log_row), min(highest, (row + 1 << log_row) - 1)
                moved, bursts = begin + (low - first) * t[Transfer.BURST], (high - low >> log_groups) + 1
                taken = max(taken, visit(s, t, channel, group, row, bursts, step, sent, moved))
    return taken


@inlined
def visit(s: Block, t: Ints, channel: int, group: int, number: int, bursts: int, step: int, sent: int, bus: int) -> int:
    """Bursts to one row of a group, which is opened if it is not open. Returns when the bank takes the requests."""
    log_places = s.machine[Number.LOG_BANKS] - s.machine[Number.LOG_GROUPS]
    row, place = number >> log_places, number & (1 << log_places) - 1
    bank, state, taken = (
        s.dram_banks[channel * MAX_CHANNEL_BANKS + (group << log_places) + place],
        s.channels[channel],
        sent,
    )
    if bank[Bank.ROW] == row:
        begin = max(max(bus, bank[Bank.LAST] + step), sent - t[Transfer.OPEN])
    else:
        if bank[Bank.ROW] >= 0:
            taken = max(taken, bank[Bank.LAST] + t[Transfer.OPEN])
        begin = max(max(bus, bank[Bank.READY]), max(state[Channel.ACTIVATES] * t[Transfer.ACTIVATE], sent))
        bank[Bank.ROW], bank[Bank.READY] = row, begin + t[Transfer.ROW_CYCLE]
        state[Channel.ACTIVATES] += 1
    last = begin + (bursts - 1) * step
    bank[Bank.LAST], bank[Bank.READY] = last, max(bank[Bank.READY], last + t[Transfer.REOPEN])
    state[Channel.END] = max(state[Channel.END], last + t[Transfer.BURST])
    return taken


@compiled
def totals(s: Block, write: int) -> tuple[int, int, int, int]:
    """(time, bus time) of the slowest channels, bursts and activates of all."""
    t, log_groups = s.transfer_numbers[write], s.machine[Number.LOG_GROUPS]
    time, bus, bursts, activates = 0, 0, 0, 0
    for channel in range(1 << s.machine[Number.LOG_CHANNELS]):
        state, own, most = s.channels[channel], 0, 0
        for group in range(1 << log_groups):
            own, most = own + state[Channel.GROUP + group], max(most, state[Channel.GROUP + group])
        opened, bus_time = state[Channel.ACTIVATES], 0
        if opened > 0:
            bus_time = max(own * t[Transfer.BURST], (most - 1) * t[Transfer.SAME_GROUP] + t[Transfer.BURST])
        waited = (own * t[Transfer.RESPOND] + opened * t[Transfer.OPEN]) // t[Transfer.LIMIT] - t[Transfer.RESPOND]
        time, bus = max(time, max(max(bus_time, state[Channel.END]), waited)), max(bus, bus_time)
        bursts, activates = bursts + own, activates + opened
    return time, bus, bursts, activates
