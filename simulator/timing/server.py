"""What serves one after the other: a data bus, a bank group, the activates of a channel."""

from __future__ import annotations


class Server:
    """Taken until `end`, but for the gap [low, high): it was idle as what was to be served came later. What comes in time fills
    the gap. Only the last gap is remembered.
    """

    __slots__ = ("end", "high", "low")

    def __init__(self) -> None:
        self.end = self.low = self.high = 0

    def take(self, ready: int, duration: int) -> int:
        """Serves what is ready then; returns when it begins to."""
        start = max(ready, self.low)
        if start + duration <= self.high:
            self.low = start + duration
            return start
        start = max(ready, self.end)
        if start > self.end:
            self.low, self.high = self.end, start
        self.end = start + duration
        return start

    def before(self, duration: int) -> int:
        """When all but the last `duration` had been served."""
        found = self.end - duration
        return found if found >= self.high else found - (self.high - self.low)
