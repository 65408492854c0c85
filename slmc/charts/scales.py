"""Axes: from values to places in a picture, and the values that are worth a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

STEPS = (1.0, 2.0, 5.0, 10.0)
ZERO_PART = 0.1
"""The part of a logarithmic axis that lies between 0 and its smallest power."""

SMALLEST_SPAN = 1e-300
"""Steps of a smaller one would not be normal numbers."""


class Scale(Protocol):
    """An axis."""

    @property
    def ticks(self) -> tuple[float, ...]:
        """Values to label, ascending."""
        ...

    def place(self, value: float) -> float:
        """From 0, where the axis begins, to 1, where it ends."""
        ...


@dataclass(frozen=True)
class LinearScale:
    """From `low` to `high` in steps of `step`."""

    low: float
    high: float
    step: float

    @staticmethod
    def of(values: Sequence[float]) -> LinearScale:
        """Around 0 and all values, with 3 to 8 steps."""
        low, high = min([0.0, *values]), max([0.0, *values])
        if high - low < SMALLEST_SPAN:
            return LinearScale(0.0, 1.0, 0.5)
        raw = (high - low) / 6
        power = 10.0 ** math.floor(math.log10(raw))
        step = next((each * power for each in STEPS if each * power >= raw), 10 * power)
        return LinearScale(math.floor(low / step) * step, math.ceil(high / step) * step, step)

    @property
    def ticks(self) -> tuple[float, ...]:
        first, count = round(self.low / self.step), round((self.high - self.low) / self.step)
        return tuple((first + number) * self.step for number in range(count + 1))

    def place(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class LogScale:
    """From 10^low to 10^high; with `has_zero` values that are not positive stand at the beginning, below a gap."""

    low: int
    high: int
    has_zero: bool

    @staticmethod
    def of(values: Sequence[float]) -> LogScale:
        """Whole powers of ten around the positive values."""
        positive = [value for value in values if value > 0]
        low = math.floor(math.log10(min(positive, default=1.0)))
        high = math.ceil(math.log10(max(positive, default=1.0)))
        return LogScale(low, max(low + 1, high), len(positive) < len(values))

    @property
    def ticks(self) -> tuple[float, ...]:
        every = 1 + (self.high - self.low) // 9
        powers = tuple(10.0**power for power in range(self.low, self.high + 1, every))
        return (0.0, *powers) if self.has_zero else powers

    def place(self, value: float) -> float:
        start = ZERO_PART if self.has_zero else 0.0
        if value <= 0:
            return 0.0
        return start + (1 - start) * (math.log10(value) - self.low) / (self.high - self.low)
