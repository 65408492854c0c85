"""Sharing of SRAM banks and of the DRAM: an older instruction keeps the share it got, a younger one gets what is left.

The sum of shares never exceeds 1, so no bandwidth is spent twice.
"""

from __future__ import annotations

from math import ceil

PRUNE_LENGTH = 16
# A rate below this is no progress; finish times are rounded up to cycles with this slack.
EPSILON = 1e-6

Segment = tuple[float, float, float]  # start, end, share of the resource


class SharedResource:
    """The shares promised to instructions in flight, as segments of time."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []

    def busy(self, start: int, end: int) -> list[Segment]:
        """The segments that overlap [start, end)."""
        return [segment for segment in self.segments if segment[0] < end and segment[1] > start]

    def add(self, start: float, end: float, share: float, now: int) -> None:
        """Promises a share. Nothing is placed before `now` any more."""
        if len(self.segments) > PRUNE_LENGTH:
            self.segments = [segment for segment in self.segments if segment[1] > now]
        self.segments.append((start, end, share))


def place(start: int, cycles: int, demands: list[tuple[SharedResource, float]], now: int) -> int:
    """Runs `cycles` of work from `start` on, with the given shares at full speed; returns the cycle it is done.

    Work proceeds at the rate the scarcest resource allows in each stretch of time.
    """
    if all(_fits(resource, share, start, start + cycles) for resource, share in demands):
        for resource, share in demands:
            resource.add(start, start + cycles, share, now)
        return start + cycles
    segments = [(resource, share, list(resource.segments)) for resource, share in demands]
    borders = sorted({t for _, _, busy in segments for s in busy for t in s[:2] if t > start})
    time, work = float(start), float(cycles)
    for border in [*borders, float("inf")]:
        rate = min([1.0, *(_rate(busy, share, time) for _, share, busy in segments)])
        end = min(border, time + work / rate) if rate > EPSILON else border
        if rate > EPSILON:
            for resource, share, _ in segments:
                resource.add(time, end, share * rate, now)
        work -= (end - time) * max(rate, 0.0) if rate > EPSILON else 0.0
        time = end
        if work <= EPSILON:
            break
    return max(start + cycles, ceil(time - EPSILON))


def _fits(resource: SharedResource, share: float, start: int, end: int) -> bool:
    """Cheap and conservative: all overlapping promises together leave enough."""
    return sum(segment[2] for segment in resource.busy(start, end)) + share <= 1.0 + EPSILON


def _rate(busy: list[Segment], share: float, time: float) -> float:
    load = sum(segment[2] for segment in busy if segment[0] <= time < segment[1])
    return max(0.0, 1.0 - load) / share
