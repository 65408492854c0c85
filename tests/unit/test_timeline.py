"""Intervals of time: few, long enough, and together the whole run, whatever the totals were told at."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulator.report.model import PowerReport
from simulator.report.power import evenly, sparkline
from simulator.timing.timeline import MOST_INTERVALS, Timeline


def told(cycles: list[int], count_at: int = 3) -> Timeline:
    """Totals of (cycle, count), the count growing by `count_at` each time."""
    timeline = Timeline(2)
    for number, cycle in enumerate(cycles, 1):
        timeline.add(np.array([cycle, number * count_at], np.int64))
    return timeline


def test_few_totals_are_all_borders() -> None:
    grown = told([10, 30, 31]).intervals(np.array([50, 12], np.int64))
    assert [interval.tolist() for interval in grown] == [[10, 3], [20, 3], [1, 3], [19, 3]]


def test_totals_from_before_the_last_border_are_none() -> None:
    grown = told([10, 8, 10, 20]).intervals(np.array([20, 12], np.int64))
    assert [interval.tolist() for interval in grown] == [[10, 3], [10, 9]]


def test_a_long_run_has_intervals_of_about_equal_length() -> None:
    cycles = list(range(7, 70_000, 7))
    lengths = [int(interval[0]) for interval in told(cycles).intervals(np.array([70_000, 10**6], np.int64))]
    assert MOST_INTERVALS / 2 <= len(lengths) <= MOST_INTERVALS
    assert max(lengths) < 2.1 * min(lengths)


@given(st.lists(st.integers(0, 10**6), max_size=400), st.integers(0, 10**6))
def test_intervals_are_few_and_add_up(steps: list[int], rest: int) -> None:
    cycles = np.cumsum(steps).tolist() if steps else []
    now = np.array([(cycles[-1] if cycles else 0) + rest, 10**6], np.int64)
    grown = told(cycles).intervals(now)
    assert len(grown) <= MOST_INTERVALS
    assert all(interval[0] > 0 for interval in grown)
    if now[0]:
        assert np.sum(grown, axis=0).tolist() == now.tolist()
    else:
        assert grown == []


def test_a_line_over_time_weighs_intervals_by_their_length() -> None:
    power = [PowerReport(0, 30, 2.0, {}), PowerReport(30, 40, 4.0, {})]
    assert evenly(power, [2.0, 4.0], 4) == [2.0, 2.0, 2.0, 4.0]
    assert evenly(power, [2.0, 4.0], 1) == [2.5]
    assert np.allclose(evenly(power, [2.0, 4.0], 3), [2.0, 2.0, 3.5])
    assert sparkline([0, 1, 2, 4], 4) == " ▂▄█"
    assert sparkline([0, 0], 0) == "  "
