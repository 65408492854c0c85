"""Faults and traps: what stops a program, precisely, before the instruction has any effect."""

from __future__ import annotations

from isa.abi import Mailbox
from isa.encoding import FIELD_INDEX
from isa.spec import Trap

WORD_MASK = (1 << 64) - 1


class Fault(Exception):
    """A trap found while an instruction is checked or executed; the engine adds the place.

    `operand` is the field of the instruction that is to blame; `word` the number for the mailbox (default: the field's
    index in FIELDS).
    """

    def __init__(self, cause: Trap, operand: str, detail: str = "", word: int | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.operand = operand
        self.detail = detail
        self.word = FIELD_INDEX.get(operand, 0) if word is None else word


class LimitError(Exception):
    """A run whose cycles or counts are beyond what 64 bits hold: the machine or the program makes no sense."""


class TrapError(Exception):
    """The program trapped. `instruction` is its disassembly, `location` its source, where known."""

    def __init__(self, fault: Fault, pc: int, instruction: str, location: str | None) -> None:
        self.cause = fault.cause
        self.pc = pc
        self.operand = fault.operand
        self.operand_word = fault.word
        self.detail = fault.detail
        self.instruction = instruction
        self.location = location
        super().__init__(self._render())

    def _render(self) -> str:
        text = f"trap {self.cause.name} at pc {self.pc}, operand {self.operand}: {self.instruction}"
        if self.detail:
            text += f": {self.detail}"
        return f"{text} (from {self.location})" if self.location else text


def trap_words(error: TrapError) -> dict[Mailbox, int]:
    """What the machine writes into the mailbox."""
    return {
        Mailbox.STATE: 3,
        Mailbox.TRAP_CAUSE: int(error.cause),
        Mailbox.TRAP_PC: error.pc,
        Mailbox.TRAP_OPERAND: error.operand_word,
    }
