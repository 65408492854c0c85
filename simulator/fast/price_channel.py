"""The channels of the DRAM during one transfer: the rules of simulator/timing/channel.py and server.py on arrays.

Sizes are powers of two, so places are bits of addresses.
"""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import Block, Ints
from simulator.fast.price_layout import MAX_CHANNEL_BANKS, Bank, Channel, Number, Server, Transfer, Visit


@compiled
def begin_transfer(s: Block) -> None:
    """All rows are closed."""
    machine, channels, banks = s.machine, s.channels, s.dram_banks
    for channel in range(1 << machine[Number.LOG_CHANNELS]):
        for column in range(Channel.LENGTH):
            channels[channel, column] = 0
        first = channel * MAX_CHANNEL_BANKS
        for bank in range(first, first + (1 << machine[Number.LOG_BANKS])):
            banks[bank, Bank.ROW], banks[bank, Bank.OPENED] = -1, 0
            banks[bank, Bank.LAST], banks[bank, Bank.READY] = 0, 0


@inlined
def take(state: Ints, server: int, ready: int, duration: int) -> int:
    """A server serves what is ready then; returns when it begins to."""
    start = max(ready, state[server + Server.LOW])
    if start + duration <= state[server + Server.HIGH]:
        state[server + Server.LOW] = start + duration
        return start
    end = state[server + Server.END]
    start = max(ready, end)
    if start > end:
        state[server + Server.LOW], state[server + Server.HIGH] = end, start
    state[server + Server.END] = start + duration
    return start


@inlined
def before(state: Ints, server: int, duration: int) -> int:
    """When all but the last `duration` had been served."""
    found = state[server + Server.END] - duration
    if found >= state[server + Server.HIGH]:
        return found
    return found - (state[server + Server.HIGH] - state[server + Server.LOW])


@inlined
def column_of(group: int) -> int:
    """The server of a bank group."""
    return Channel.COLUMNS + group * Server.LENGTH


@compiled
def add_bursts(s: Block, channel: int, first: int, end: int, sent: int, write: int) -> int:
    """Moves the bursts [first, end) of a channel; returns when the last one is taken."""
    taken, log_row = sent, s.machine[Number.LOG_ROW_BURSTS] + s.machine[Number.LOG_GROUPS]
    for row in range(first >> log_row, (end - 1 >> log_row) + 1):
        low, high = max(first, row << log_row), min(end, row + 1 << log_row)
        taken = max(taken, add_row(s, channel, row, low, high, sent, write))
    return max(taken, last_sent(s, s.channels[channel], write))


@compiled
def last_sent(s: Block, state: Ints, write: int) -> int:
    """When the last request so far comes, as the one has ended that was as many before it as may be in flight."""
    t = s.transfer_numbers[write]
    later = t[Transfer.LIMIT] + 1
    if state[Channel.BURSTS] < later:
        return 0
    found = before(state, Channel.BUS, later * t[Transfer.BURST])
    for group in range(1 << s.machine[Number.LOG_GROUPS]):
        found = max(found, before(state, column_of(group), later * t[Transfer.SAME_GROUP]))
    return found + t[Transfer.RESPOND] + t[Transfer.OPEN]


@compiled
def add_row(s: Block, channel: int, number: int, low: int, end: int, sent: int, write: int) -> int:
    """The bursts [low, end) to one row of each group. Returns when the banks take the requests."""
    t, state, groups, bursts, taken = (
        s.transfer_numbers[write],
        s.channels[channel],
        1 << s.machine[Number.LOG_GROUPS],
        end - low,
        sent,
    )
    log_places = s.machine[Number.LOG_BANKS] - s.machine[Number.LOG_GROUPS]
    row, place, count = number >> log_places, number & (1 << log_places) - 1, min(groups, bursts)
    for i in range(count):
        group = low + i & groups - 1
        index = channel * MAX_CHANNEL_BANKS + (group << log_places) + place
        bank = s.dram_banks[index]
        if bank[Bank.ROW] >= 0 and bank[Bank.ROW] != row:
            taken = max(taken, bank[Bank.LAST] + t[Transfer.OPEN])
        own = ((bursts - i - 1) >> s.machine[Number.LOG_GROUPS]) + 1
        visit = s.visits[sorted_in(s, i, ready_time(t, bank, row, sent))]
        visit[Visit.GROUP], visit[Visit.BANK], visit[Visit.BURSTS] = group, index, own
        visit[Visit.PLACE] = i + (own - 1) * groups
    ready = s.visits[0, Visit.READY]
    start = take(state, Channel.BUS, ready, bursts * t[Transfer.BURST])
    for i in range(count):
        begin_visit(t, state, s.visits[i], s.dram_banks[s.visits[i, Visit.BANK]], row, start, bursts)
    for i in range(count, groups):
        take(state, column_of(low + i & groups - 1), ready, bursts * t[Transfer.OTHER_GROUP])
    end_visits(s, t, state, count)
    state[Channel.BURSTS] += bursts
    return taken


@inlined
def ready_time(t: Ints, bank: Ints, row: int, sent: int) -> int:
    """When a bank can serve requests for a row that come at `sent`, activates aside."""
    if bank[Bank.ROW] == row:
        return max(bank[Bank.OPENED], sent - t[Transfer.OPEN])
    return max(bank[Bank.READY], sent + t[Transfer.CLOSE]) if bank[Bank.ROW] >= 0 else sent


@compiled
def sorted_in(s: Block, count: int, ready: int) -> int:
    """The place of another visit, behind those that are ready earlier or at the same time."""
    place = count
    while place > 0 and s.visits[place - 1, Visit.READY] > ready:
        for column in range(Visit.LENGTH):
            s.visits[place, column] = s.visits[place - 1, column]
        place -= 1
    s.visits[place, Visit.READY] = ready
    return place


@compiled
def begin_visit(t: Ints, state: Ints, visit: Ints, bank: Ints, row: int, start: int, bursts: int) -> None:
    """Opens the row if need be; the first burst moves when the bus, from `start`, the bank group and the row are ready."""
    own, group, ready = visit[Visit.BURSTS], visit[Visit.GROUP], visit[Visit.READY]
    is_open = bank[Bank.ROW] == row
    column_ready = max(ready, bank[Bank.LAST] + t[Transfer.SAME_GROUP]) if is_open else ready
    duration = own * t[Transfer.SAME_GROUP] + (bursts - own) * t[Transfer.OTHER_GROUP]
    column = take(state, column_of(group), column_ready, duration)
    state[Channel.GROUP + group] += own
    if not is_open:
        opened = take(state, Channel.OPENS, ready, t[Transfer.ACTIVATE])
        bank[Bank.ROW], bank[Bank.OPENED], bank[Bank.READY] = row, opened, opened + t[Transfer.ROW_CYCLE]
        state[Channel.ACTIVATES] += 1
    visit[Visit.BEGIN] = max(max(start, column), bank[Bank.OPENED])


@compiled
def end_visits(s: Block, t: Ints, state: Ints, count: int) -> None:
    """When the last bursts of each group move. Groups that are busy at the same time take turns."""
    first = s.visits[0, Visit.BEGIN]
    for i in range(1, count):
        first = min(first, s.visits[i, Visit.BEGIN])
    for i in range(count):
        visit = s.visits[i]
        bank, last = (
            s.dram_banks[visit[Visit.BANK]],
            visit[Visit.BEGIN] + (visit[Visit.BURSTS] - 1) * t[Transfer.SAME_GROUP],
        )
        for other in range(count):
            if other != i and s.visits[other, Visit.BEGIN] <= last:
                last = max(last, first + visit[Visit.PLACE] * t[Transfer.BURST])
        bank[Bank.LAST] = max(bank[Bank.LAST], last)
        bank[Bank.READY] = max(bank[Bank.READY], bank[Bank.LAST] + t[Transfer.REOPEN])
        state[Channel.END] = max(state[Channel.END], bank[Bank.LAST] + t[Transfer.BURST])


@compiled
def totals(s: Block, write: int) -> tuple[int, int, int, int]:
    """(time, bus time) of the slowest channels, bursts and activates of all."""
    t, groups = s.transfer_numbers[write], 1 << s.machine[Number.LOG_GROUPS]
    time, bus, bursts, activates = 0, 0, 0, 0
    for channel in range(1 << s.machine[Number.LOG_CHANNELS]):
        state, most, columns = s.channels[channel], 0, 0
        for group in range(groups):
            most = max(most, state[Channel.GROUP + group])
            columns = max(columns, state[column_of(group) + Server.END])
        own, opened, bus_time = state[Channel.BURSTS], state[Channel.ACTIVATES], 0
        if own > 0:
            grouped = (most - 1) * t[Transfer.SAME_GROUP] + (own - most) * t[Transfer.OTHER_GROUP] + t[Transfer.BURST]
            bus_time = max(own * t[Transfer.BURST], grouped)
        columns += t[Transfer.BURST] - t[Transfer.SAME_GROUP]
        waited = (own * t[Transfer.RESPOND] + opened * t[Transfer.OPEN]) // t[Transfer.LIMIT] - t[Transfer.RESPOND]
        moved = max(max(state[Channel.BUS + Server.END], columns), state[Channel.END])
        time, bus = max(time, max(moved, waited)), max(bus, bus_time)
        bursts, activates = bursts + own, activates + opened
    return time, bus, bursts, activates
