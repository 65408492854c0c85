"""How timing and tools watch an execution: calls in program order, one per executed instruction."""

from __future__ import annotations

from typing import Protocol

from isa.descriptor import Descriptor
from isa.spec import Instruction

Captured = tuple[Descriptor | None, Descriptor | None, Descriptor | None, Descriptor | None]
"""ta, tb, tc, td as captured at dispatch; None where the instruction has no such operand."""


class Observer(Protocol):
    """Receives every executed instruction. Instructions that trap are not reported."""

    def scalar(self, pc: int, row: Instruction) -> None:
        """A SEQ instruction without memory effect (alu, br, jal, jalr, tdset, tdadd)."""
        ...

    def smem(self, pc: int, row: Instruction, low: int, high: int, write: bool) -> None:
        """lds, sts or tdld with its SMEM byte interval [low, high)."""
        ...

    def engine(self, pc: int, row: Instruction, fn: int, fl: int, tds: Captured) -> None:
        """An instruction dispatched to an engine."""
        ...

    def mark(self, pc: int, label: int, value: int) -> None:
        """mark: (imm, x[rs])."""
        ...

    def event(self, pc: int, kind: int, value: int) -> None:
        """yield: (imm, x[rs])."""
        ...

    def halt(self, pc: int) -> None:
        """halt, after all engines have finished."""
        ...
