"""A worker: does its part of kernels as they are posted, on a thread of its own, until it is told to stop.

Whoever posts fills the row of the worker and then raises POSTED; the worker answers by raising DONE to the same number. Both
wait by looking again and again: a kernel takes microseconds, a system call about as long. A worker that waits for long lets
others run, then sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.raw import call, load_acquire, load_i64, pause, sleep_briefly, store_release, yield_core


class Worker(IntEnum):
    """Columns of a worker's row; what the two sides write lies in cache lines of their own."""

    POSTED = 0  # the number of the last kernel posted; STOP ends the worker
    DONE = 8  # the number of the last kernel done
    KERNEL = 16  # address of the code
    PARAMETERS = 17  # address of the parameters
    ARGUMENT = 18  # .. the arguments
    LENGTH = 32


STOP = -1
SPINS, YIELDS = 20_000, 2_000  # about 0.2 ms and some ms
BYTES = 8


def make_worker() -> Callable[[int, int], int]:
    """The first number is the address of the row, the second the number of kernels posted so far."""

    def work(row: int, done: int) -> int:
        waited = 0
        while True:
            posted = load_acquire(row + BYTES * Worker.POSTED)
            if posted == done:
                waited += 1
                if waited < SPINS:
                    pause()
                elif waited < SPINS + YIELDS:
                    yield_core()
                else:
                    sleep_briefly()
                continue
            if posted == STOP:
                return done
            waited, done = 0, posted
            arguments, parameters = row + BYTES * Worker.ARGUMENT, load_i64(row + BYTES * Worker.PARAMETERS)
            call(load_i64(row + BYTES * Worker.KERNEL), arguments, parameters)
            store_release(row + BYTES * Worker.DONE, done)

    return work


WORKER = Choice("worker", make_worker, ())
assert Worker.ARGUMENT + Arg.LENGTH <= Worker.LENGTH
