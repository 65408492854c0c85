"""Cycles lost between DRAM transfers: the rules of simulator/timing/turnaround.py on arrays."""

from __future__ import annotations

from simulator.fast.compiled import compiled, inlined
from simulator.fast.layout import MAX_TRANSFERS, Block, Core

START, END, WRITE = 0, 1, 2  # columns of a transfer
IN_USE, PRUNE_AT = 0, 1  # columns of `transfer_count`
FEW = 4
"""So many transfers are looked at rather than thinned out."""


@compiled
def extra_cycles(s: Block, start: int, write: int) -> int:
    """What a transfer that begins at `start` takes longer because of the one before it and the one after it."""
    before, after = -1, -1
    transfers = s.transfers
    for row in range(s.transfer_count[IN_USE]):
        if transfers[row, START] <= start:
            if before < 0 or transfers[row, END] > transfers[before, END]:
                before = row
        elif after < 0 or transfers[row, START] < transfers[after, START]:
            after = row
    idle = max(0, start - transfers[before, END]) if before >= 0 else refresh_cycles(s, write)
    turns = before >= 0 and transfers[before, WRITE] != write
    extra = max(0, gap(s, write) - idle) if turns else refresh_wait(s, write, idle)
    if after >= 0 and transfers[after, WRITE] != write:
        extra += gap(s, 1 - write)
    return extra


@inlined
def gap(s: Block, write: int) -> int:
    """Cycles before a transfer in this direction after one in the other."""
    return s.core[Core.READ_TO_WRITE] if write else s.core[Core.WRITE_TO_READ]


@inlined
def refresh_cycles(s: Block, write: int) -> int:
    """Cycles without transfers in this direction around a refresh."""
    return s.core[Core.WRITE_REFRESH] if write else s.core[Core.READ_REFRESH]


@inlined
def refresh_wait(s: Block, write: int, idle: int) -> int:
    """The mean of what is left of a refresh that was due in the idle cycles before a transfer."""
    cycles = refresh_cycles(s, write)
    idle = min(idle, cycles)
    return (cycles * idle - idle * idle // 2) // s.core[Core.REFRESH_INTERVAL]


@inlined
def remember_transfer(s: Block, start: int, end: int, write: int) -> None:
    """`transfers_have_room` has made room."""
    row = s.transfer_count[IN_USE]
    s.transfers[row, START], s.transfers[row, END], s.transfers[row, WRITE] = start, end, write
    s.transfer_count[IN_USE] = row + 1


@inlined
def transfers_have_room(s: Block, now: int) -> bool:
    """Forgets transfers now and then. False if there is no room for one more."""
    if s.transfer_count[IN_USE] > s.transfer_count[PRUNE_AT]:
        drop_transfers(s, now)
    return s.transfer_count[IN_USE] < MAX_TRANSFERS


@compiled
def drop_transfers(s: Block, now: int) -> None:
    """Nothing begins before `now` any more: of the transfers that are over, only the last one can still matter."""
    transfers = s.transfers
    kept, last = 0, -1
    for row in range(s.transfer_count[IN_USE]):
        place = kept
        if transfers[row, END] <= now:
            if last < 0:
                last = kept
            elif transfers[row, END] <= transfers[last, END]:
                continue
            place = last
        for column in range(3):
            transfers[place, column] = transfers[row, column]
        kept += place == kept
    s.transfer_count[IN_USE] = kept
    s.transfer_count[PRUNE_AT] = max(FEW, 2 * kept)
