"""Spreads placed buffers over a memory, so that a place is used again as late as possible.

Engines run behind: a load to memory that another engine still reads waits for it, and DRAM with it. A placement that takes least reuses
memory at once, even where there is room. So buffers are moved, one after the other, to where the buffers that share their memory are
used long before or after them. What is in use at the same time stays apart, so any placement that fits may be spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compiler.analysis.buffer_lifetimes import Lifetime
from compiler.analysis.sram_solver import Placement
from compiler.sizes import to_granules

FAR = 60
"""Ops from the end of a buffer's use to the begin of the next one's, as far as it matters: norms and the end of a strip are about 20."""
PASSES = 2
"""How often all buffers are looked at."""

Numbers = NDArray[np.int64]


def spread(lifetimes: Sequence[Lifetime], placement: Placement, room_bytes: int) -> Placement:
    """The same buffers elsewhere; no two that share memory are used closer to each other than the closest two were."""
    if not lifetimes:
        return placement
    places = _Places(lifetimes, placement.offsets, room_bytes)
    for _ in range(PASSES):
        for index in np.argsort(places.first, kind="stable").tolist():
            places.move(index)
    return Placement(tuple(places.offsets.tolist()), places.size_bytes, placement.lower_bound_bytes)


class _Places:
    """Where each buffer lies while they are moved."""

    def __init__(self, lifetimes: Sequence[Lifetime], offsets: Sequence[int], room_bytes: int):
        self.lifetimes, self.room_bytes = lifetimes, room_bytes
        self.first: Numbers = np.array([life.first for life in lifetimes], np.int64)
        self.last: Numbers = np.array([life.last for life in lifetimes], np.int64)
        self.sizes: Numbers = np.array([to_granules(life.size_bytes) for life in lifetimes], np.int64)
        self.offsets: Numbers = np.array(offsets, np.int64)
        self.gapped = [life.index for life in lifetimes if life.gaps]

    @property
    def size_bytes(self) -> int:
        return int((self.offsets + self.sizes).max())

    def move(self, index: int) -> None:
        """A buffer to the lowest of the places from which others' use is farthest."""
        distances = self.distances(index)
        now = self.scores(index, self.offsets[index : index + 1], distances)[0]
        if now >= FAR:
            return
        places = self.candidates(index)
        scores = self.scores(index, places, distances)
        best = int(scores.argmax())
        if scores[best] > now:
            self.offsets[index] = places[best]

    def distances(self, index: int) -> Numbers:
        """Ops between the use of a buffer and that of each one, FAR at most; 0 where one is used in a gap of the other, -1 where both are
        in use at once. FAR from itself."""
        first, last = self.first[index], self.last[index]
        between = np.maximum(self.first - last, first - self.last)
        found = np.where(between > 0, np.minimum(between, FAR), -1)
        life = self.lifetimes[index]
        for other in range(len(found)) if life.gaps else self.gapped:
            if found[other] < 0 and not life.overlaps(self.lifetimes[other]):
                found[other] = 0
        found[index] = FAR
        return found

    def candidates(self, index: int) -> Numbers:
        """Places at the border of another buffer or of the memory, lowest first."""
        size, ends = self.sizes[index], self.offsets + self.sizes
        places = np.unique(np.concatenate([np.zeros(1, np.int64), ends, self.offsets - size]))
        return places[(places >= 0) & (places + size <= self.room_bytes)]

    def scores(self, index: int, places: Numbers, distances: Numbers) -> Numbers:
        """For each place of a buffer the least distance to another one that would share its memory, FAR if none does."""
        ends = places + self.sizes[index]
        shared = (self.offsets < ends[:, None]) & (self.offsets + self.sizes > places[:, None])
        return np.where(shared, distances, FAR).min(axis=1)
