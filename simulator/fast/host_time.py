"""Where the time of this computer goes while it simulates, by kind of instruction. Nothing of it enters the simulated machine's report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns

from isa.encoding import Decoded

LOOP = "the loop: scalar instructions, checks, timing"
HOST = "the host: new shapes, instructions without a kernel, output"


@dataclass
class HostTime:
    """Nanoseconds in the compiled loop, kernels included, and in what the host does for it."""

    loop: int = 0
    host: int = 0

    @contextmanager
    def helping(self) -> Generator[None]:
        """Around what the host does."""
        started = perf_counter_ns()
        try:
            yield
        finally:
            self.host += perf_counter_ns() - started


@dataclass(frozen=True)
class HostRow:
    """One kind of work: how often, and seconds. `executions` is 0 where nothing is counted."""

    name: str
    executions: int
    seconds: float


def host_rows(
    decoded: Sequence[Decoded | None], executions: Sequence[int], nanoseconds: Sequence[int], spent: HostTime
) -> list[HostRow]:
    """Kernels by mnemonic and function, the rest of the loop, and the host; longest first. Arguments by pc."""
    counts, times = Counter[str](), Counter[str]()
    for d, count, time in zip(decoded, executions, nanoseconds, strict=True):
        if d is not None and time:
            counts[d.mnemonic] += count
            times[d.mnemonic] += time
    rows = [HostRow(name, counts[name], time / 1e9) for name, time in times.items()]
    rows += [HostRow(LOOP, 0, (spent.loop - times.total()) / 1e9), HostRow(HOST, 0, spent.host / 1e9)]
    return sorted(rows, key=lambda row: -row.seconds)
