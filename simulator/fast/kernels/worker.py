"""Parts of a kernel done side by side: whoever is free takes the next part, until there is none.

One row describes the kernel that is posted. Its ticket says which kernel it is, how many parts there are and which one is next;
a thread takes a part by raising the ticket, and counts it when it is done. A thread that sleeps, or that the system has
put aside, delays nobody: the others do its parts. The row changes only when all parts of the kernel before are done.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from simulator.fast.compiled import compiled
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
    """Columns of the posted kernel's row; what threads wait for lies in cache lines of its own. Each thread has a row, too, of
    which only the arguments are used: they are those of the kernel, but for what is the thread's own.
    """

    TICKET = 0  # the number of the kernel, its parts, the next part; STOP ends the workers
    FINISHED = 8  # parts done
    KERNEL = 16  # address of the code
    PARAMETERS = 17  # address of the parameters
    ARGUMENT = 18  # .. the arguments
    LENGTH = 32


STOP = -1
PART_BITS = 16
PART_MASK = (1 << PART_BITS) - 1
SPINS, YIELDS = 20_000, 2_000  # about 0.2 ms and some ms
BYTES = 8
SHARED_ARGUMENTS = int(Arg.SCRATCH)
"""Those before are the same for all parts."""
assert Post.ARGUMENT + Arg.LENGTH <= Post.LENGTH and SHARED_ARGUMENTS < Arg.PART < Arg.PARTS


@compiled
def take_parts(post: int, mine: int) -> None:
    """Does parts of the posted kernel until none is left to take. `mine`: the address of the thread's row."""
    arguments = mine + BYTES * Post.ARGUMENT
    while True:
        ticket = load_acquire(post + BYTES * Post.TICKET)
        part, parts = ticket & PART_MASK, (ticket >> PART_BITS) & PART_MASK
        if part >= parts:
            return
        if not exchange(post + BYTES * Post.TICKET, ticket, ticket + 1):
            continue
        for place in range(SHARED_ARGUMENTS):
            store_64(arguments + BYTES * place, load_64(post + BYTES * (Post.ARGUMENT + place)))
        store_64(arguments + BYTES * Arg.PART, part)
        store_64(arguments + BYTES * Arg.PARTS, parts)
        call(load_64(post + BYTES * Post.KERNEL), arguments, load_64(post + BYTES * Post.PARAMETERS))
        add_release(post + BYTES * Post.FINISHED, 1)


def make_worker() -> Callable[[int, int], int]:
    """The numbers are the addresses of the posted row and of the worker's own. A worker that waits for long lets others run, then
    sleeps: a kernel takes microseconds, a system call about as long.
    """

    def work(post: int, mine: int) -> int:
        waited = 0
        while True:
            ticket = load_acquire(post + BYTES * Post.TICKET)
            if ticket == STOP:
                return 0
            if ticket & PART_MASK < (ticket >> PART_BITS) & PART_MASK:
                take_parts(post, mine)
                waited = 0
                continue
            waited += 1
            if waited < SPINS:
                pause()
            elif waited < SPINS + YIELDS:
                yield_core()
            else:
                sleep_briefly()

    return work


WORKER = Choice("worker", make_worker, ())
