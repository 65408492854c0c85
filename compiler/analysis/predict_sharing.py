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


def run_shared(start: float, cycles: float, demands: list[tuple[Shared, float]], now: float) -> float:
    """When `cycles` of work at full speed are done that ask for these shares; promises them. `now`: nothing starts earlier."""
    time, left = start, cycles
    while True:
        rate = 1.0
        for resource, share in demands:
            rate = min(rate, max(0.0, 1.0 - resource.load(time)) / share)
        border = min([resource.border(time) for resource, _ in demands], default=NEVER)
        if rate < LEAST_SHARE and border < NEVER:
            time = border
            continue
        rate = max(rate, LEAST_SHARE)
        end = ceil(time + left / rate - ROUNDING)  # the last stretch ends with a cycle
        if border < end:
            end = border
        for resource, share in demands:
            resource.forget(now)
            resource.promises.append((time, end, share * rate))
        left -= (end - time) * rate
        time = end
        if left <= ROUNDING:
            return time
