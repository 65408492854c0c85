"""Work for several threads whose results are wanted in order. NumPy lets other threads run while it computes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")

AHEAD = 4
"""Tasks for each thread that may be begun before the first result is taken: results that wait take memory."""
MOST_THREADS = 8


def usable_threads() -> int:
    """Cores that this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, MOST_THREADS)


def in_order(tasks: Iterable[tuple[Key, Callable[[], Result]]], threads: int) -> Iterator[tuple[Key, Result]]:
    """Runs tasks, which are made as they are needed, by this thread; an exception of one comes at its place."""
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[Key, Future[Result]]] = deque()
    try:
        for key, task in tasks:
            waiting.append((key, pool.submit(task)))
            if len(waiting) > AHEAD * threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
