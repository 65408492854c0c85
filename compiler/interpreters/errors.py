"""What an interpreter cannot run."""

from __future__ import annotations

from xdsl.ir import Operation


class InterpreterError(ValueError):
    """A module or an input that an interpreter cannot run; names the operation if there is one."""

    def __init__(self, message: str, op: Operation | None = None):
        super().__init__(message if op is None else f"{op.name}: {message}")
        self.op = op
