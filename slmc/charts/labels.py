"""Where the labels of points go, so that they overlap neither each other nor points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTER_WIDTH, LINE_HEIGHT = 6.4, 13.0
"""Of the text in pixels; an upper bound for the usual sans-serif fonts of 11 px."""
GAP, RADIUS = 7.0, 5.0
DISTANCES = (0.0, *(sign * half / 2 for half in range(1, 41) for sign in (1, -1)))
"""Lines above or below the point, in the order in which they are tried: up to 20, by halves."""


@dataclass(frozen=True)
class Box:
    """A rectangle, y pointing down."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def contains(self, other: Box) -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def overlap_area(self, other: Box) -> float:
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0


def place_labels(points: Sequence[tuple[float, float]], texts: Sequence[str], area: Box) -> list[Box]:
    """A box for the text of each point, beside it or some lines off, inside of `area` where that can be.

    Greedy, in the order of the points. If no place is free the one with the least overlap is taken.
    """
    marks = [Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in points]
    placed: list[Box] = []
    for (x, y), text in zip(points, texts, strict=True):
        choices = [box for box in _choices(x, y, CHARACTER_WIDTH * len(text)) if area.contains(box)]
        if not choices:
            choices = _choices(x, y, CHARACTER_WIDTH * len(text))[:1]
        placed.append(min(choices, key=lambda box: sum(box.overlap_area(other) for other in (*marks, *placed))))
    return placed


def _choices(x: float, y: float, width: float) -> list[Box]:
    """Places right and left of a point, the nearest first; min() takes the first of equals."""
    boxes: list[Box] = []
    for lines in DISTANCES:
        top = y + (lines - 0.5) * LINE_HEIGHT
        for left in (x + GAP, x - GAP - width):
            boxes.append(Box(left, top, left + width, top + LINE_HEIGHT))
    return boxes
