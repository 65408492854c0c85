"""Writes tests/golden/charts/scatter.svg: python -m tests.golden.make_chart. Look at the picture before committing it."""

from __future__ import annotations

from pathlib import Path

from slmc.charts.scales import LinearScale, LogScale
from slmc.charts.scatter import Axis, Point, scatter

FILE = Path(__file__).parent / "charts" / "scatter.svg"


def example() -> str:
    """A crowd, a point at 0, a point at the right edge, and text that is markup."""
    points = [
        Point("reference", 0.0, (1.6e-3, 2900.0), is_hollow=True),
        *(Point(f"crowd {number}", 1e-3 * (1 + number / 9), (3e-4, 12000.0)) for number in range(5)),
        Point('<b>&"\x07', 5e-6, (5e-4, 8000.0)),
    ]
    y = Axis("divergence", LogScale.of([point.y for point in points]), lambda value: f"{value:g}")
    xs = tuple(
        Axis(name, LinearScale.of([point.xs[panel] for point in points]), lambda value: f"{value:g}")
        for panel, name in enumerate(("energy", "speed"))
    )
    return scatter("An <example>", points, y, xs, ["without a point: a & b"])


if __name__ == "__main__":
    FILE.write_text(example(), encoding="utf-8")
