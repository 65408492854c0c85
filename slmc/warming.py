"""Machine code of the fast engine, compiled once on a computer: what a run says while it happens, and doing it beforehand."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from isa.container import Executable
from slmc.progress import steps
from slmc.session import Session, Token

PROMPT_TOKENS, NEW_TOKENS = 40, 3


class Warmth(NamedTuple):
    """What a warm-up found to do: kernels compiled, and seconds in all."""

    kernels: int
    seconds: float
    directory: Path


@contextmanager
def told() -> Generator[list[str]]:
    """Says on a terminal which kernel is compiled meanwhile; the list gets their names."""
    from simulator.fast.kernels import store

    compiled: list[str] = []
    with steps() as progress:

        def tell(name: str) -> None:
            compiled.append(name)
            progress.say(f"compile kernel {len(compiled)}, once on this computer: {name}")

        store.when_compiling.append(tell)
        try:
            yield compiled
        finally:
            store.when_compiling.remove(tell)


def announced(tokens: Iterator[Token]) -> Iterator[Token]:
    """The tokens; up to the first one, a terminal shows what is compiled for them."""
    with told():
        first = next(tokens, None)
    if first is not None:
        yield first
        yield from tokens


def is_cold() -> bool:
    """Whether the loop is still to be compiled on this computer."""
    from simulator.fast.loader import is_compiled

    return not is_compiled()


def warm_up(executable: Executable) -> Warmth:
    """Compiles the loop and every kernel that a short run of the executable uses, unless the disk has them."""
    from simulator.fast.cache import directory

    started = perf_counter()
    with told() as compiled:
        session = Session(executable)
        prompt = [place % session.device.vocabulary for place in range(min(PROMPT_TOKENS, session.device.context // 2))]
        list(session.generate(prompt, NEW_TOKENS))
    return Warmth(len(compiled), perf_counter() - started, directory("kernels").parent)
