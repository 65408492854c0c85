"""The engines disagree about an instruction."""

from __future__ import annotations

from isa.metadata import DebugMap


class DivergenceError(Exception):
    """The engines disagree. `operator` and `location`: where the instruction comes from, where known."""

    def __init__(self, pc: int, instruction: str, difference: str, debug: DebugMap | None) -> None:
        self.pc, self.instruction, self.difference = pc, instruction, difference
        self.operator = debug.operator(pc) if debug else None
        self.location = debug.location(pc) if debug else None
        origin = f" (operator {self.operator}, from {self.location})" if self.location else ""
        super().__init__(f"the engines diverge at pc {pc}: {instruction}{origin}: {difference}")
