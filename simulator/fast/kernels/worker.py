"""Parts of kernels done side by side: each thread has one part of each kernel that is posted.

A ring of rows describes the kernels. A thread takes its part of the next one by raising its own NEXT, and counts it in the kernel's
row when it is done. So what a thread reads of weights is where it read before, and where its requests ahead went. A thread that has
nothing to do for a moment takes the parts of others in the same way: one that sleeps, or that the system has put aside, delays
nobody. A row changes only when all parts of the kernel in it are done.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from simulator.fast.compiled import compiled, inlined
from simulator.fast.kernels.abi import Arg, Choice
from simulator.fast.kernels.raw import (
    add_release,
    call,
    exchange,
    load_acquire,
    pause,
    sleep_briefly,
    yield_core,
)
from simulator.fast.raw import load_64, store_64


class Post(IntEnum):
    """Columns of the first row, of the rows of the ring behind it, and of those of the threads behind that; what threads wait for lies in
    cache lines of its own. The arguments in the row of a thread are those of the kernel, but for what is the thread's own.
    """

    POSTED = 0  # kernels posted so far; STOP ends the workers
    THREADS = 8  # all of them
    FINISHED = 0  # ring: parts done
    NEXT = 0  # thread: the number of the kernel whose part it takes next
    KERNEL = 8  # address of the code
    PARAMETERS = 9  # address of the parameters
    ARGUMENT = 10  # .. the arguments
    LENGTH = 24


RING = 4
"""Kernels that may be posted at a time. A power of two."""
STOP = -1
PATIENCE = 20
"""Turns of waiting, about 1 microsecond, before a thread does what another one would."""
SPINS, YIELDS = 20_000, 2_000  # about 1 ms and some ms
BYTES = 8
ROW_BYTES = BYTES * Post.LENGTH
SHARED_ARGUMENTS = int(Arg.SCRATCH)
"""Those before are the same for all parts."""
assert Post.ARGUMENT + Arg.LENGTH <= Post.LENGTH and SHARED_ARGUMENTS < Arg.PART < Arg.PARTS


@inlined
def row_of_post(posts: int, number: int) -> int:
    """The address of the row of a kernel; they are numbered in the order in which they are posted."""
    return posts + ROW_BYTES * (1 + (number & (RING - 1)))


@inlined
def row_of_thread(posts: int, thread: int) -> int:
    """The address of its row."""
    return posts + ROW_BYTES * (1 + RING + thread)


@compiled
def take_part(posts: int, thread: int, owner: int) -> bool:
    """A thread does the next part of its own, or of another one, if there is one."""
    at = row_of_thread(posts, owner) + BYTES * Post.NEXT
    number = load_acquire(at)
    while number < load_acquire(posts + BYTES * Post.POSTED):
        if exchange(at, number, number + 1):
            do_part(posts, thread, number, owner)
            return True
        number = load_acquire(at)
    return False


@compiled
def take_any_part(posts: int, thread: int) -> bool:
    """A thread does the next part of any."""
    owner, threads = 0, load_64(posts + BYTES * Post.THREADS)
    while owner < threads:
        if take_part(posts, thread, owner):
            return True
        owner += 1
    return False


@compiled
def do_part(posts: int, thread: int, number: int, part: int) -> None:
    """Does a part of a kernel, which the thread has taken."""
    row, arguments = row_of_post(posts, number), row_of_thread(posts, thread) + BYTES * Post.ARGUMENT
    for place in range(SHARED_ARGUMENTS):
        store_64(arguments + BYTES * place, load_64(row + BYTES * (Post.ARGUMENT + place)))
    store_64(arguments + BYTES * Arg.PART, part)
    store_64(arguments + BYTES * Arg.PARTS, load_64(posts + BYTES * Post.THREADS))
    call(load_64(row + BYTES * Post.KERNEL), arguments, load_64(row + BYTES * Post.PARAMETERS))
    add_release(row + BYTES * Post.FINISHED, 1)


def make_worker() -> Callable[[int, int], int]:
    """The numbers are the address of the first row and the number of the thread. One that waits for long lets others run, then
    sleeps: a kernel takes microseconds, a system call about as long.
    """

    def work(posts: int, thread: int) -> int:
        waited = 0
        while load_acquire(posts + BYTES * Post.POSTED) != STOP:
            if take_part(posts, thread, thread) or (waited >= PATIENCE and take_any_part(posts, thread)):
                waited = 0
                continue
            waited += 1
            if waited < SPINS:
                pause()
            elif waited < SPINS + YIELDS:
                yield_core()
            else:
                sleep_briefly()
        return 0

    return work


WORKER = Choice("worker", make_worker, ())
