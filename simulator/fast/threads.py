"""Workers for one run: threads that do parts of kernels (kernels/worker.py). They start with it and end with it.

Each thread stays on a processor core of its own: threads that the system moves about, or puts on one core, cost more than they give.
"""

from __future__ import annotations

import ctypes
import os
import threading

from simulator.fast.kernels import store
from simulator.fast.kernels.abi import SCRATCH_BYTES, Arg
from simulator.fast.kernels.worker import RING, STOP, WORKER, Post
from simulator.fast.layout import MAX_WORKERS, Block, Core

WORK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
"""Python's lock is released while such a function runs."""


def usable_threads() -> int:
    """Cores that this process may use."""
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_WORKERS + 1
    )


class Workers:
    """`count` threads beside the one that runs the loop."""

    def __init__(self, block: Block, count: int) -> None:
        self._block, self._count = block, count
        self._threads: list[threading.Thread] = []
        self._cores: set[int] = set()

    def start(self) -> None:
        """Starts the threads and gives each a core, this one too."""
        if not self._count:
            return
        block, core = self._block, self._block.core
        posts = block.posts.ctypes.data
        core[Core.WORKERS], core[Core.POSTS_AT], core[Core.POSTED], core[Core.DONE] = self._count, posts, 0, 0
        block.posts[0, Post.POSTED], block.posts[0, Post.THREADS] = 0, self._count + 1
        for thread in range(self._count + 1):
            scratch = int(core[Core.SCRATCH_AT]) + thread * SCRATCH_BYTES
            row = block.posts[1 + RING + thread]
            row[Post.NEXT], row[Post.ARGUMENT + Arg.SCRATCH] = 0, scratch
        work = WORK(store.address_of(WORKER))
        cores = self._own_cores()
        for number in range(1, self._count + 1):
            arguments = (work, posts, number, cores[number : number + 1])
            thread = threading.Thread(target=_run, args=arguments, name=f"slmc-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends the threads; this one may run anywhere again."""
        self._block.posts[0, Post.POSTED] = STOP
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._block.core[Core.WORKERS] = 0
        if self._cores:
            os.sched_setaffinity(0, self._cores)
            self._cores = set()

    def _own_cores(self) -> list[int]:
        """A core for each thread, this one first, if there are enough; this thread moves to it."""
        if not hasattr(os, "sched_getaffinity"):
            return []
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) <= self._count:
            return []
        self._cores = set(usable)
        os.sched_setaffinity(0, {usable[0]})
        return usable


def _run(work: ctypes._CFunctionType, posts: int, number: int, cores: list[int]) -> None:  # pyright: ignore[reportPrivateUsage]
    if cores:
        os.sched_setaffinity(0, set(cores))
    work(posts, number)
