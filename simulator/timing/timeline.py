"""The run as a few intervals of about equal length: what power over time is made of.

The totals are known at marks, events and halts. Those that are at least `spacing` cycles apart are kept; when they are too many, the
spacing is doubled and they are thinned out. So the intervals follow from the sequence of totals alone, which is the same for every engine.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

MOST_INTERVALS = 64


class Timeline:
    """Told the totals (int64, the cycle first) at every mark, event and halt, in the order they are executed."""

    def __init__(self, length: int) -> None:
        self._kept: list[NDArray[np.int64]] = [np.zeros(length, np.int64)]
        self._spacing = 1

    def add(self, totals: NDArray[np.int64]) -> None:
        """An event may lie before the mark ahead of it, as the host does not wait for the engines: then it is not kept."""
        if totals[0] - self._kept[-1][0] < self._spacing:
            return
        self._kept.append(totals.copy())
        while len(self._kept) > MOST_INTERVALS:
            self._spacing *= 2
            self._kept = self._thinned()

    def intervals(self, now: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """What the totals grew by from one border to the next, from cycle 0 to now; at most MOST_INTERVALS, none of them short."""
        kept = list(self._kept)
        while len(kept) > 1 and now[0] - kept[-1][0] < self._spacing:
            kept.pop()
        return [end - begin for begin, end in pairwise([*kept, now])] if now[0] else []

    def _thinned(self) -> list[NDArray[np.int64]]:
        kept = self._kept[:1]
        for totals in self._kept[1:]:
            if totals[0] - kept[-1][0] >= self._spacing:
                kept.append(totals)
        return kept
