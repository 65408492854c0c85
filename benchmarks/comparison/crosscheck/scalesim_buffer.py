"""How long scalesim's array waits for weights: its double buffer, told in lines instead of single operands.

Worked out from memory/read_buffer.py and memory/double_buffered_scratchpad_mem.py of 3.0.0, and checked against what it prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

ARRAY = 128
BUFFER_BYTES = 6144 << 10
"""Of the weights; one half is in use, the other one is filled."""
LINE_BYTES = ceil(BUFFER_BYTES / 100)
"""The buffer knows what it holds in hundredths."""
LINES_IN_HALF = ceil(BUFFER_BYTES / 2 / LINE_BYTES)
HALF_CYCLES = BUFFER_BYTES // 2 // 64


@dataclass(slots=True)
class ReadBuffer:
    """A window of lines over the weights in the order of storage. A miss moves it by half a buffer, in the end to the first
    line again."""

    lines: int
    start: int = 0
    ready: int = -1
    """Cycle at which the last transfer ended; the first half is there before cycle 0."""

    def holds(self, line: int) -> bool:
        return (line - self.start) % self.lines < LINES_IN_HALF

    def wait_for(self, line: int, cycle: int) -> int:
        """Cycles that a request at `cycle` waits. Each transfer is dated back to the end of the one before it, and the wait is added
        twice: before the `if` of service_reads, where it may be negative, and in it."""
        waited = 0
        while not self.holds(line):
            self.start = (self.start + min(LINES_IN_HALF, self.lines - LINES_IN_HALF)) % self.lines
            self.ready += HALF_CYCLES + 1
            wait = self.ready - (cycle + 1 + waited)
            waited += wait + max(wait, 0)
        return waited


def os_stalls(inner: int, columns: int) -> int:
    """Stalls of an output-stationary product of at most 128 rows whose weights [inner, columns], columns a multiple of 128 if they do not
    fit half a buffer, are read once."""
    buffer = ReadBuffer(ceil(inner * columns / LINE_BYTES))
    if buffer.lines <= LINES_IN_HALF:
        return 0
    stalls = 0
    for cycle, line in _lines_used(inner, columns // ARRAY):
        stalls += max(buffer.wait_for(line, cycle + stalls), 0)
    return stalls


def _lines_used(inner: int, folds: int) -> Iterator[tuple[int, int]]:
    """(cycle without stalls, line) for every change of line.

    The weights are stored along the diagonals of a matrix [folds * inner, 128], as the wavefront uses them; but where one fold ends and
    the next begins, a diagonal has operands of both, which are used 254 cycles apart.
    """
    before = -1
    for fold in range(folds):
        first_cycle = fold * (inner + 2 * ARRAY - 2)
        step = 0
        while step < inner + ARRAY - 1:
            low, high = _place(inner, folds, fold, step)
            for line in range(low // LINE_BYTES, high // LINE_BYTES + 1):
                if line != before:
                    yield first_cycle + step, line
                    before = line
            left_in_line = (before + 1) * LINE_BYTES - 1 - high
            is_one_line = low // LINE_BYTES == high // LINE_BYTES
            step += max(left_in_line // ARRAY, 1) if is_one_line else 1  # a step goes on by at most 128 operands


def _place(inner: int, folds: int, fold: int, step: int) -> tuple[int, int]:
    """First and last index of a fold's operands on one of its diagonals; along a diagonal rows descend."""
    diagonal, rows = fold * inner + step, folds * inner
    last_row = min(diagonal, rows - 1)
    top = min(diagonal, (fold + 1) * inner - 1)
    bottom = max(diagonal - ARRAY + 1, fold * inner)
    before = _operands_before(diagonal, rows)
    return before + last_row - top, before + last_row - bottom


def _operands_before(diagonal: int, rows: int) -> int:
    """Operands of a matrix [rows, 128] on the diagonals before this one."""
    if diagonal < ARRAY:
        return diagonal * (diagonal + 1) // 2
    whole = min(diagonal, rows)
    ending = diagonal - whole
    return ARRAY * whole - ARRAY * (ARRAY - 1) // 2 + (ARRAY - 1) * ending - ending * (ending - 1) // 2
