"""Work of several threads in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from compiler.emit.parallel import AHEAD, in_order, usable_threads


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order(threads: int) -> None:
    def task(number: int) -> Callable[[], int]:
        def work() -> int:
            time.sleep(0.002 * (number % 3))
            return number * number

        return work

    found = list(in_order(((number, task(number)) for number in range(40)), threads))
    assert found == [(number, number * number) for number in range(40)]


def test_few_tasks_are_made_ahead() -> None:
    made = 0

    def tasks() -> Iterator[tuple[int, Callable[[], None]]]:
        nonlocal made
        for number in range(100):
            made += 1
            yield number, lambda: None

    results = in_order(tasks(), 2)
    for taken in range(1, 60):
        next(results)
        assert made <= taken + 2 * AHEAD
    results.close()
    assert made < 100


def test_an_exception_comes_at_its_place_and_ends_the_work() -> None:
    ran: list[int] = []

    def task(number: int) -> Callable[[], None]:
        def work() -> None:
            ran.append(number)
            if number == 3:
                raise ValueError("of 3")

        return work

    results = in_order(((number, task(number)) for number in range(1000)), 2)
    assert [next(results)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="of 3"):
        next(results)
    assert len(ran) < 50
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def test_tasks_run_side_by_side() -> None:
    """Each waits for the other."""
    meeting = threading.Barrier(2, timeout=30)
    assert len(list(in_order(((number, meeting.wait) for number in range(2)), 2))) == 2


def test_there_is_a_thread() -> None:
    assert usable_threads() >= 1
