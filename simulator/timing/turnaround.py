"""Cycles lost between DRAM transfers: when the data bus changes direction, and to a refresh that begins while it is idle."""

from __future__ import annotations

PRUNE_LENGTH = 16


class Turnaround:
    """Remembers the transfers in flight: (start, end, write)."""

    def __init__(self, read_to_write: int, write_to_read: int, refresh: tuple[int, int, int]) -> None:
        """`refresh`: cycles without reads around one, cycles without writes, cycles from one to the next."""
        self._gap = {True: read_to_write, False: write_to_read}  # by direction of the later transfer
        self._refresh, self._interval = {False: refresh[0], True: refresh[1]}, refresh[2]
        self._transfers: list[tuple[int, int, bool]] = []

    def extra_cycles(self, start: int, write: bool) -> int:
        """Added to a transfer that begins at `start`: what is left of the gap after the transfer before it, the gap back to a
        transfer of the other direction that was promised the bus later on; or, after one of the same direction, the mean of
        what is left of a refresh.
        """
        before: tuple[int, int, bool] | None = None
        after: tuple[int, int, bool] | None = None
        for transfer in self._transfers:
            if transfer[0] <= start:
                before = transfer if before is None or transfer[1] > before[1] else before
            else:
                after = transfer if after is None or transfer[0] < after[0] else after
        idle = max(0, start - before[1]) if before is not None else self._refresh[write]
        turns = before is not None and before[2] != write
        extra = max(0, self._gap[write] - idle) if turns else self._refresh_wait(write, idle)
        if after is not None and after[2] != write:
            extra += self._gap[not write]
        return extra

    def _refresh_wait(self, write: bool, idle: int) -> int:
        """A refresh is due at any time of the idle cycles alike: it takes what is left of its cycles."""
        cycles = self._refresh[write]
        idle = min(idle, cycles)
        return (cycles * idle - idle * idle // 2) // self._interval

    def add(self, start: int, end: int, write: bool, now: int) -> None:
        """Records a transfer. Nothing begins before `now` any more: of those that are over, only the last one still matters."""
        if len(self._transfers) > PRUNE_LENGTH:
            over = [transfer for transfer in self._transfers if transfer[1] <= now]
            last = [max(over, key=lambda transfer: transfer[1])] if over else []
            self._transfers = last + [transfer for transfer in self._transfers if transfer[1] > now]
        self._transfers.append((start, end, write))
