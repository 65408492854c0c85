"""Power over the run, by component: the energy of the intervals of simulator/timing/timeline.py."""

from __future__ import annotations

from collections.abc import Sequence

from simulator.energy import EnergyModel
from simulator.report.model import PowerReport
from simulator.timing.parts import Section

BLOCKS = " ▁▂▃▄▅▆▇█"


def power_over_time(energy: EnergyModel, intervals: Sequence[Section], clock_hz: int) -> list[PowerReport]:
    """One entry for each interval; times their seconds they add up to the joules of the run."""
    reports: list[PowerReport] = []
    begin = 0
    for part in intervals:
        seconds = part.cycles / clock_hz
        joules = energy.breakdown(part.actions, part.instructions, part.cycles).joules
        watts = {name: value / seconds for name, value in joules.items()}
        reports.append(PowerReport(begin, begin + part.cycles, sum(watts.values()), watts))
        begin += part.cycles
    return reports


def evenly(power: Sequence[PowerReport], watts: Sequence[float], columns: int) -> list[float]:
    """The mean watts in each of `columns` equal parts of the time; `watts` has a number for each interval."""
    width = power[-1].end_cycle / columns
    result = [0.0] * columns
    for one, number in zip(power, watts, strict=True):
        first, last = int(one.begin_cycle / width), min(int(one.end_cycle / width), columns - 1)
        for column in range(min(first, columns - 1), last + 1):
            overlap = min(one.end_cycle, (column + 1) * width) - max(one.begin_cycle, column * width)
            result[column] += number * max(overlap, 0.0) / width
    return result


def sparkline(numbers: Sequence[float], most: float) -> str:
    """A character for each number, from 0 to `most`."""
    if most <= 0:
        return BLOCKS[0] * len(numbers)
    return "".join(BLOCKS[min(round(number / most * (len(BLOCKS) - 1)), len(BLOCKS) - 1)] for number in numbers)
