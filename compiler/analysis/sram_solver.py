"""Places buffers with known lifetimes in one memory: two greedy orders, the better one wins, or if that is too large some more, made
from it; an independent check of the result."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from compiler.analysis.buffer_lifetimes import Lifetime
from compiler.sizes import GRANULE_BYTES, to_granules

MOST_MOVES = 24
"""Of buffers to the front of an order. Each is another placement, which takes some milliseconds."""


@dataclass(frozen=True)
class Placement:
    """offsets[i] is the place of buffer i; `lower_bound_bytes` is the most that is in use at one time."""

    offsets: tuple[int, ...]
    size_bytes: int
    lower_bound_bytes: int


def most_at_once(uses: Iterable[tuple[int, int, int]]) -> int:
    """The largest sum of sizes in use at one op; `uses`: (first op, last op, size) each."""
    changes: dict[int, int] = {}
    for first, last, size in uses:
        changes[first] = changes.get(first, 0) + size
        changes[last + 1] = changes.get(last + 1, 0) - size
    return max(accumulate(changes[at] for at in sorted(changes)), default=0)


def lower_bound(lifetimes: Sequence[Lifetime]) -> int:
    """No placement needs less: the sum of the buffers in use at the busiest op."""
    return most_at_once((*span, to_granules(life.size_bytes)) for life in lifetimes for span in life.spans)


def first_fit(lifetimes: Sequence[Lifetime], order: Iterable[Lifetime]) -> tuple[tuple[int, ...], int]:
    """Buffers in this order, each at the lowest gap among those alive at the same time; (offsets, bytes used)."""
    offsets: dict[int, int] = {}
    placed: list[tuple[int, int, int, int, int]] = []  # (offset, end, first op, last op, number), in order
    gapped = {life.index for life in lifetimes if life.gaps}
    top = 0
    for life in order:
        size, offset = to_granules(life.size_bytes), 0
        for begin, end, first, last, number in placed:
            if first > life.last or last < life.first:
                continue
            if (life.gaps or number in gapped) and not life.overlaps(lifetimes[number]):
                continue
            if offset + size <= begin:
                break
            if end > offset:
                offset = end
        offsets[life.index] = offset
        insort(placed, (offset, offset + size, life.first, life.last, life.index))
        top = max(top, offset + size)
    return tuple(offsets[life.index] for life in lifetimes), top


def solve(lifetimes: Sequence[Lifetime], room_bytes: int | None = None) -> Placement:
    """The better of largest-first and longest-lived-first. If they need more than the room, and the bound does not, one buffer after the
    other that ends highest is placed first, until they fit or that has been tried often enough."""
    bound = lower_bound(lifetimes)
    orders = [
        sorted(lifetimes, key=lambda life: (-life.size_bytes, life.first, life.index)),
        sorted(lifetimes, key=lambda life: (life.first - life.last, -life.size_bytes, life.index)),
    ]
    best = min((first_fit(lifetimes, order) for order in orders), key=lambda found: found[1])
    if room_bytes is None or best[1] <= room_bytes or bound > room_bytes:
        return Placement(*best, bound)
    for order in orders:
        for _ in range(MOST_MOVES):
            offsets, size = first_fit(lifetimes, order)
            best = min(best, (offsets, size), key=lambda found: found[1])
            if size <= room_bytes:
                return Placement(offsets, size, bound)
            highest = next(life for life in order if offsets[life.index] + to_granules(life.size_bytes) == size)
            order.remove(highest)
            order.insert(0, highest)
    return Placement(*best, bound)


def check(lifetimes: Sequence[Lifetime], placement: Placement) -> None:
    """Raises ValueError if two buffers in use at the same time share a byte, or one is not on a granule."""
    for life, offset in zip(lifetimes, placement.offsets, strict=True):
        if offset % GRANULE_BYTES or offset < 0 or offset + life.size_bytes > placement.size_bytes:
            raise ValueError(f"buffer {life.label} lies badly at {offset}")
    for a in lifetimes:
        for b in lifetimes[a.index + 1 :]:
            low, high = placement.offsets[a.index], placement.offsets[a.index] + a.size_bytes
            other = placement.offsets[b.index]
            if a.overlaps(b) and low < other + b.size_bytes and other < high:
                raise ValueError(f"buffers {a.label} and {b.label} overlap at {max(low, other)}")
