"""What the selectors of single ops, and what makes descriptors, need of the selector: registers, and a place to emit to."""

from __future__ import annotations

from typing import Protocol

from xdsl.dialects.builtin import LocationAttr
from xdsl.ir import Operation, SSAValue


class Emitter(Protocol):
    def emit(self, op: Operation, location: LocationAttr | None = None) -> None:
        """Appends an instruction to the code so far; without a location, with that of the op at work."""
        ...

    def new_register(self) -> int:
        """A virtual register that is not used yet."""
        ...

    def define(self, value: SSAValue) -> int:
        """A new virtual register for a value."""
        ...

    def register(self, value: SSAValue) -> int:
        """The register that holds a value."""
        ...

    def add(self, register: int, number: int, location: LocationAttr | None = None) -> int:
        """A new register with the sum."""
        ...

    def td(self, view: SSAValue) -> int:
        """The descriptor register of a view that the op at work names."""
        ...
