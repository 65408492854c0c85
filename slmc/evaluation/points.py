"""An evaluation as a plot: accuracy against energy, and against speed."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.report.render import quantity
from slmc.charts.scales import LinearScale, LogScale
from slmc.charts.scatter import Axis, Point, scatter
from slmc.evaluation.rows import Evaluation, Row

NEGLIGIBLE_NATS = 1e-9
"""Smaller divergences, those of two ways to compute in fp32, are drawn as 0: they would take half of the axis."""
LARGEST = 1e300
"""Perplexities beyond have no axis."""


def plot_of_evaluation(evaluation: Evaluation) -> str:
    """The SVG text of docs/evaluation.md. The y axis is the KL divergence, or the perplexity if nothing is compared with."""
    title = f"{evaluation.source} on {evaluation.machine}"
    return plot_of_rows(title, evaluation.rows, is_compared=evaluation.reference is not None)


def plot_of_rows(title: str, rows: Sequence[Row], is_compared: bool) -> str:
    """A point for each row that has both values; the names of the others are below the panels."""
    points = [point for point in (_point(row, is_compared) for row in rows) if point is not None]
    ys = [point.y for point in points]
    energy, speed = ([point.xs[panel] for point in points] for panel in range(2))
    y = (
        Axis("KL divergence from fp32 (nats)", LogScale.of(ys), lambda value: f"{value:.0e}" if value else "0")
        if is_compared
        else Axis("perplexity", LinearScale.of(ys), lambda value: f"{value:g}")
    )
    xs = (
        Axis("energy (J/token): left and down is better", LinearScale.of(energy), lambda value: quantity(value, "J")),
        Axis("speed (tokens/s): right and down is better", LinearScale.of(speed), lambda value: f"{value:,g}"),
    )
    shown = {point.label for point in points}
    missing = [row.name for row in rows if row.name not in shown]
    return scatter(title, points, y, xs, [f"without a point: {', '.join(missing)}"] if missing else [])


def _point(row: Row, is_compared: bool) -> Point | None:
    accuracy, cost = row.accuracy, row.cost
    y = None if accuracy is None else accuracy.kl if is_compared else accuracy.perplexity
    if y is None or y > LARGEST or cost is None:
        return None
    if is_compared and y < NEGLIGIBLE_NATS:
        y = 0.0
    return Point(row.name, y, (cost.decode.joules_per_token, cost.decode.tokens_per_second), row.is_reference)
