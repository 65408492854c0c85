"""Sharing of SRAM banks and of the DRAM: an older instruction keeps the share it got, a younger one gets what is left.

Shares and rates are whole numbers of 1 / WHOLE, times whole cycles: every engine and every computer gets the same
schedule. The sum of shares never exceeds WHOLE, so no bandwidth is spent twice.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Demand:
    """A share of a resource at full speed. `in_flight`: work of the resource, in cycles at full speed, that is done before what others
    ask for later.
    """

    resource: SharedResource
    share: int
    in_flight: int = 0


def place(start: int, cycles: int, demands: list[Demand], now: int) -> int:
    """Runs `cycles` of work from `start` on, with the given shares at full speed; returns the cycle it is done.

    Work proceeds at the rate the scarcest resource allows in each stretch of time; the last stretch ends with a cycle.
    """
    scarce: list[tuple[Demand, list[Segment]]] = []
    for demand in demands:
        busy = demand.resource.after(start)
        if busy and sum([segment[2] for segment in busy]) + demand.share > WHOLE:
            scarce.append((demand, busy))
    if not scarce:
        _promise(demands, start, start + cycles, WHOLE, now)
        return start + cycles
    time, work, before = start, cycles * WHOLE, 0
    while work > 0:
        border = _border(scarce, time)
        rate = min([WHOLE, *[_rate(busy, demand.share, time) for demand, busy in scarce]])
        if rate < before:
            rate, border = _kept(scarce, time, work, now) or (rate, border)
        before = rate
        if rate == 0:
            assert border is not None, "promises end"
            time = border
            continue
        end = time + -(-work // rate)
        if border is not None:
            end = min(end, border)
        _promise(demands, time, end, rate, now)
        work -= (end - time) * rate
        time = end
    return time


def _kept(scarce: list[tuple[Demand, list[Segment]]], time: int, work: int, now: int) -> tuple[int, None] | None:
    """The rate of work that is left and in flight when an older promise begins: all that other resources leave. What it takes of the
    promise is owed after the last one. None if it is more, or if it is not that promise that takes the rate.
    """
    for demand, busy in scarce:
        share = demand.share
        if work * share > demand.in_flight * WHOLE * WHOLE:
            continue
        kept = min([WHOLE, *[_rate(other, one.share, time) for one, other in scarce if one is not demand]])
        own = _rate(busy, share, time)
        if kept > own:
            end = max(segment[1] for segment in demand.resource.segments)
            taken = (kept - own) * share * -(-work // kept)
            demand.resource.add(end, end + -(-taken // (WHOLE * WHOLE)), WHOLE, now)
            return kept, None
    return None


def _promise(demands: list[Demand], start: int, end: int, rate: int, now: int) -> None:
    for demand in demands:
        demand.resource.add(start, end, -(-demand.share * rate // WHOLE), now)


def _border(scarce: list[tuple[Demand, list[Segment]]], time: int) -> int | None:
    """The first time after `time` at which a promise begins or ends; None if there is none."""
    return min(
        (border for _, busy in scarce for segment in busy for border in segment[:2] if border > time), default=None
    )


def _rate(busy: list[Segment], share: int, time: int) -> int:
    """The rate at which work goes on at `time`, if nothing else than this resource holds it up."""
    load = sum([segment[2] for segment in busy if segment[0] <= time < segment[1]])
    return min(WHOLE, max(0, WHOLE - load) * WHOLE // share)
