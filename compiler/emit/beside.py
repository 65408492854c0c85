"""A function in a thread of its own, beside the rest of a block of code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")

TURN_SECONDS = 1e-4
"""How long a thread keeps Python's lock while others want it. The usual 5 ms are what each of the thousands of short steps of packing
would wait for the passes; taking turns costs some microseconds each.
"""


class Beside:
    """Context manager. Leaving it waits for the function that was started, if any, and raises what it raised; after an exception of
    the block the function is told to stop, and the block's exception goes on.
    """

    def __init__(self) -> None:
        self._stopped = Event()
        self._work: Future[None] | None = None

    def __enter__(self) -> Beside:
        self._pool, self._turn_seconds = ThreadPoolExecutor(1), sys.getswitchinterval()
        return self

    def start(self, work: Callable[[], None]) -> None:
        """Once."""
        sys.setswitchinterval(TURN_SECONDS)
        self._work = self._pool.submit(work)

    def until_stopped(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, as long as they are wanted."""
        for item in items:
            if self._stopped.is_set():
                return
            yield item

    def finish(self) -> None:
        """Waits, and raises what the function raised."""
        if self._work is not None:
            self._work.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stopped.set()
        self._pool.shutdown()
        sys.setswitchinterval(self._turn_seconds)
        if kind is None:
            self.finish()
