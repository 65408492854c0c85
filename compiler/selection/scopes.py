"""The nest of loops and branches that code is being emitted into, and the place in front of each loop where invariant work goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.ir import Operation, SSAValue


@dataclass
class Scope:
    """One level of the nest: the ops emitted into it so far, and for a loop the ops to go in front of it."""

    is_loop: bool
    ops: list[Operation] = field(default_factory=list[Operation])
    preheader: list[Operation] = field(default_factory=list[Operation])
    defined: set[SSAValue] = field(default_factory=set[SSAValue])


class Scopes:
    """A stack of scopes; scope 0 is the function."""

    def __init__(self) -> None:
        self.stack = [Scope(is_loop=False)]

    @property
    def top(self) -> Scope:
        return self.stack[-1]

    def define(self, value: SSAValue) -> None:
        self.top.defined.add(value)

    def level_of(self, value: SSAValue) -> int:
        """The level of the nest where a value is defined."""
        for level in range(len(self.stack) - 1, -1, -1):
            if value in self.stack[level].defined:
                return level
        return 0

    def hoisted(self, values: list[SSAValue]) -> list[Operation]:
        """The list to append to so that the code runs as rarely as possible: in front of the outermost loop around this point in
        which the values do not change, without leaving a branch (its condition may guard the value)."""
        needed = max((self.level_of(value) for value in values), default=0)
        target = self.top.ops
        for level in range(len(self.stack) - 1, needed, -1):
            if not self.stack[level].is_loop:
                break
            target = self.stack[level].preheader
        return target
