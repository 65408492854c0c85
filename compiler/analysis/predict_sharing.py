"""Bandwidth that engines share: an older transfer keeps what it got, a younger one gets what is left. docs/timing.md, section 7."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

LEAST_SHARE = ROUNDING = 1e-6
NEVER = float("inf")


@dataclass
class Shared:
    """A resource, and the parts of it promised as (start, end, share)."""

    promises: list[tuple[float, float, float]] = field(default_factory=list[tuple[float, float, float]])

    def forget(self, before: float) -> None:
        if len(self.promises) > 16:
            self.promises = [promise for promise in self.promises if promise[1] > before]

    def load(self, time: float) -> float:
        used = 0.0
        for start, end, share in self.promises:
            if start <= time < end:
                used += share
        return used

    def border(self, time: float) -> float:
        """When a promise begins or ends next; infinity if none does."""
        found = NEVER
        for start, end, _ in self.promises:
            if time < end < found:
                found = end
            if time < start < found:
                found = start
        return found

    def shift(self, cycles: float) -> None:
        self.promises = [(start + cycles, end + cycles, share) for start, end, share in self.promises]


@dataclass(frozen=True)
class Demand:
    """A share of a resource at full speed, and as many cycles of it as have been asked for before what comes later."""

    resource: Shared
    share: float
    in_flight: float = 0.0

    def rate(self, time: float) -> float:
        return max(0.0, 1.0 - self.resource.load(time)) / self.share

    def owe(self, work: float, rate: float, time: float) -> None:
        """Work is done at this rate all the same, and what that takes of a promise is promised behind all of them."""
        end = max(promise[1] for promise in self.resource.promises)
        owed = (rate - self.rate(time)) * self.share * work / rate
        self.resource.promises.append((end, end + ceil(owed - ROUNDING), 1.0))


def run_shared(start: float, cycles: float, demands: list[Demand], now: float) -> float:
    """When `cycles` of work at full speed are done that ask for these shares; promises them. `now`: nothing starts earlier."""
    time, left, before = start, cycles, 0.0
    while True:
        rate = min([1.0, *[demand.rate(time) for demand in demands]])
        border = min([demand.resource.border(time) for demand in demands], default=NEVER)
        if rate < before:
            rate, border = _kept(demands, time, left) or (rate, border)
        before = rate
        if rate < LEAST_SHARE and border < NEVER:
            time = border
            continue
        rate = max(rate, LEAST_SHARE)
        end = ceil(time + left / rate - ROUNDING)  # the last stretch ends with a cycle
        if border < end:
            end = border
        for demand in demands:
            demand.resource.forget(now)
            demand.resource.promises.append((time, end, demand.share * rate))
        left -= (end - time) * rate
        time = end
        if left <= ROUNDING:
            return time


def _kept(demands: list[Demand], time: float, left: float) -> tuple[float, float] | None:
    """The rate of the rest if all of it is in flight when an older promise begins; until nothing changes."""
    for demand in demands:
        others = min([1.0, *[one.rate(time) for one in demands if one is not demand]])
        if left * demand.share <= demand.in_flight and demand.rate(time) < others:
            demand.owe(left, others, time)
            return others, NEVER
    return None
