"""The address interlock: an instruction waits for every older unfinished instruction whose accesses conflict with its own.

Two accesses conflict if their granule-rounded intervals in one region overlap and at least one of them writes.
"""

from __future__ import annotations

from isa.spec import Region

# Lists longer than this are cleared of finished accesses. At most 25 instructions are in flight, with 4 operands each.
PRUNE_LENGTH = 24

_Access = tuple[int, int, int, int]  # finish cycle, low, high, engine


class Interlock:
    """Accesses of the instructions in flight, per region, reads and writes apart."""

    def __init__(self) -> None:
        self._reads: list[list[_Access]] = [[] for _ in Region]
        self._writes: list[list[_Access]] = [[] for _ in Region]

    def blocked(self, region: int, low: int, high: int, write: bool) -> tuple[int, int]:
        """(cycle, engine) until which, and by which, an access to [low, high) is held up; (0, -1) if it is not."""
        until, by = 0, -1
        for finish, other_low, other_high, engine in self._writes[region]:
            if finish > until and other_low < high and low < other_high:
                until, by = finish, engine
        if write:
            for finish, other_low, other_high, engine in self._reads[region]:
                if finish > until and other_low < high and low < other_high:
                    until, by = finish, engine
        return until, by

    def add(self, region: int, low: int, high: int, write: bool, finish: int, engine: int, now: int) -> None:
        """Records an access that is over at `finish`. Nothing asks about times before `now` any more."""
        accesses = (self._writes if write else self._reads)[region]
        if len(accesses) > PRUNE_LENGTH:
            accesses[:] = [access for access in accesses if access[0] > now]
        accesses.append((finish, low, high, engine))
