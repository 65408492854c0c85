"""Several observers as one."""

from __future__ import annotations

from isa.spec import Instruction
from simulator.observer import Captured, Observer


class Observers:
    """Tells each observer everything, in the order given."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def scalar(self, pc: int, row: Instruction) -> None:
        for observer in self._observers:
            observer.scalar(pc, row)

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        for observer in self._observers:
            observer.smem(pc, row, low, high, write)

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        for observer in self._observers:
            observer.engine(pc, row, fn, fl, tds)

    def mark(self, pc: int, label: int, value: int) -> None:
        for observer in self._observers:
            observer.mark(pc, label, value)

    def event(self, pc: int, kind: int, value: int) -> None:
        for observer in self._observers:
            observer.event(pc, kind, value)

    def halt(self, pc: int) -> None:
        for observer in self._observers:
            observer.halt(pc)
