"""Sharing of SRAM banks and of the DRAM: an older instruction keeps the share it got, a younger one gets what is left.

Shares and rates are whole numbers of 1 / WHOLE, times whole cycles: every engine and every computer gets the same
schedule. The sum of shares never exceeds WHOLE, so no bandwidth is spent twice.
"""

from __future__ import annotations

PRUNE_LENGTH = 16
WHOLE = 1 << 20
"""The share that is all of a resource, and the rate of full speed."""

Segment = tuple[int, int, int]  # start, end, share of the resource


def share_of(used: int, capacity: int) -> int:
    """The share of an instruction that uses `used` of `capacity`; at least 1 if it uses anything, at most WHOLE."""
    return min(WHOLE, max(used * WHOLE // capacity, used > 0))


class SharedResource:
    """The shares promised to instructions in flight, as segments of time."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def after(self, start: int) -> list[Segment]:
        """The segments that are not over at `start`."""
        return [segment for segment in self.segments if segment[1] > start]

    def add(self, start: int, end: int, share: int, now: int) -> None:
        """Promises a share. Nothing is placed before `now` any more."""
        if len(self.segments) > PRUNE_LENGTH:
            self.segments = self.after(now)
        self.segments.append((start, end, share))


def place(start: int, cycles: int, demands: list[tuple[SharedResource, int]], now: int) -> int:
    """Runs `cycles` of work from `start` on, with the given shares at full speed; returns the cycle it is done.

    Work proceeds at the rate the scarcest resource allows in each stretch of time; the last stretch ends with a cycle.
    """
    scarce: list[tuple[int, list[Segment]]] = []
    for resource, share in demands:
        busy = resource.after(start)
        if busy and sum([segment[2] for segment in busy]) + share > WHOLE:
            scarce.append((share, busy))
    if not scarce:
        for resource, share in demands:
            resource.add(start, start + cycles, share, now)
        return start + cycles
    time, work = start, cycles * WHOLE
    while work > 0:
        border = _border(scarce, time)
        rate = min([WHOLE, *[_rate(busy, share, time) for share, busy in scarce]])
        if rate == 0:
            assert border is not None, "promises end"
            time = border
            continue
        end = time + -(-work // rate)
        if border is not None:
            end = min(end, border)
        for resource, share in demands:
            resource.add(time, end, -(-share * rate // WHOLE), now)
        work -= (end - time) * rate
        time = end
    return time


def _border(scarce: list[tuple[int, list[Segment]]], time: int) -> int | None:
    """The first time after `time` at which a promise begins or ends; None if there is none."""
    return min(
        (border for _, busy in scarce for segment in busy for border in segment[:2] if border > time), default=None
    )


def _rate(busy: list[Segment], share: int, time: int) -> int:
    """The rate at which work goes on at `time`, if nothing else than this resource holds it up."""
    load = sum([segment[2] for segment in busy if segment[0] <= time < segment[1]])
    return min(WHOLE, max(0, WHOLE - load) * WHOLE // share)
