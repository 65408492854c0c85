"""What the selectors of single ops need of the selector: registers, descriptors, a place to emit to."""

from __future__ import annotations

from typing import Protocol

from xdsl.ir import Operation, SSAValue


class Emitter(Protocol):
    def emit(self, op: Operation, into: list[Operation] | None = None) -> None:
        """Appends an instruction to the code so far."""
        ...

    def define(self, value: SSAValue) -> int:
        """A new virtual register for a value."""
        ...

    def register(self, value: SSAValue, into: list[Operation] | None = None) -> int:
        """The register that holds a value."""
        ...

    def td(self, view: SSAValue) -> int:
        """The descriptor register of a view."""
        ...
