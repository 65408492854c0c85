"""Sharing of SRAM banks and of the DRAM: an older instruction keeps the share it got, a younger one gets what is left.

The sum of shares never exceeds 1, so no bandwidth is spent twice.
"""

from __future__ import annotations

from math import ceil, inf

PRUNE_LENGTH = 16
# A rate below this is no progress; finish times are rounded up to cycles with this slack.
EPSILON = 1e-6

Segment = tuple[float, float, float]  # start, end, share of the resource


class SharedResource:
    """The shares promised to instructions in flight, as segments of time."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def after(self, start: int) -> list[Segment]:
        """The segments that are not over at `start`."""
        return [segment for segment in self.segments if segment[1] > start]

    def add(self, start: float, end: float, share: float, now: int) -> None:
        """Promises a share. Nothing is placed before `now` any more."""
        if len(self.segments) > PRUNE_LENGTH:
            self.segments = self.after(now)
        self.segments.append((start, end, share))


def place(start: int, cycles: int, demands: list[tuple[SharedResource, float]], now: int) -> int:
    """Runs `cycles` of work from `start` on, with the given shares at full speed; returns the cycle it is done.

    Work proceeds at the rate the scarcest resource allows in each stretch of time.
    """
    scarce: list[tuple[float, list[Segment]]] = []
    for resource, share in demands:
        busy = resource.after(start)
        if busy and sum([segment[2] for segment in busy]) + share > 1.0 + EPSILON:
            scarce.append((share, busy))
    if not scarce:
        for resource, share in demands:
            resource.add(start, start + cycles, share, now)
        return start + cycles
    time, work = float(start), float(cycles)
    for border in _borders(start, scarce):
        rate = min([1.0, *[_rate(busy, share, time) for share, busy in scarce]])
        if rate > EPSILON:
            end = min(border, time + work / rate)
            for resource, share in demands:
                resource.add(time, end, share * rate, now)
            work -= (end - time) * rate
            if end < border or work <= EPSILON:
                time = end
                break
        time = border
    return max(start + cycles, ceil(time - EPSILON))


def _borders(start: int, scarce: list[tuple[float, list[Segment]]]) -> list[float]:
    """The times after `start` at which a promise begins or ends, and infinity."""
    times = {time for _, busy in scarce for segment in busy for time in segment[:2] if time > start}
    return [*sorted(times), inf]


def _rate(busy: list[Segment], share: float, time: float) -> float:
    load = sum([segment[2] for segment in busy if segment[0] <= time < segment[1]])
    return max(0.0, 1.0 - load) / share
