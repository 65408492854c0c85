"""When each buffer of a function is in use, in a numbering of its ops; loops stretch what they read from outside.

A carried buffer, which an iteration fills for the next one, is not in use between its last use in an iteration and where it is renewed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import tile

LOOPS = (scf.ForOp, scf.WhileOp)


@dataclass(frozen=True)
class Lifetime:
    """Buffer number `index` (position in the function's list of allocs) is in use from op `first` to op `last`, both included, but for
    `gaps`, from one op to another, which are in order and inside."""

    index: int
    label: str
    size_bytes: int
    first: int
    last: int
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """From op to op, in order."""
        firsts = [self.first, *[end + 1 for _, end in self.gaps]]
        return list(zip(firsts, [*[start - 1 for start, _ in self.gaps], self.last], strict=True))

    def overlaps(self, other: Lifetime) -> bool:
        if self.first > other.last or other.first > self.last:
            return False
        if not self.gaps and not other.gaps:
            return True
        return any(first <= end and start <= last for first, last in self.spans for start, end in other.spans)


@dataclass
class Buffer:
    """An alloc and the numbers of the ops between which it is used, so far; -1: by none. loops: around it. within: the last use in the
    loop in which it is carried, -1: none so far in this iteration."""

    alloc: tile.AllocOp
    at: int
    loops: int
    first: int = -1
    last: int = -1
    within: int = -1
    gaps: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])

    def renew(self, at: int) -> None:
        """From an op on it has new content."""
        if 0 <= self.within < at - 1:
            self.gaps.append((self.within + 1, at - 1))
        self.within = max(self.within, at)

    def use(self, first: int, last: int) -> None:
        self.first = first if self.first < 0 else min(self.first, first)
        self.last = max(self.last, last)


class Walk:
    """One walk through a function, which numbers ops in pre-order. A buffer is used by ops that read it or one of its views (`of`, by
    value); if these are in loops that it is not in, by the outermost one of them, from its begin to its end.

    loops: around the place of the walk, the number of each and the buffers from outside that are used in it.
    """

    def __init__(self, space: str) -> None:
        self.space = space
        self.count = 0
        self.loops: list[tuple[int, list[Buffer]]] = []
        self.buffers: list[Buffer] = []
        self.of: dict[int, Buffer] = {}

    def op(self, op: Operation) -> None:
        at = self.count
        self.count += 1
        if type(op) is tile.RenewOp:
            self.renew(op, at)
            return
        if type(op) is tile.ViewOp:
            self.view(op)
            return
        for value in op.operands:
            self.read(value, at)
        if type(op) is tile.AllocOp:
            if op.space.data == self.space:
                self.buffers.append(Buffer(op, at, len(self.loops)))
                self.of[id(op.results[0])] = self.buffers[-1]
        elif op.regions:
            self.inside(op, at)

    def view(self, op: tile.ViewOp) -> None:
        """The buffer of a view, if it has one, is its first operand."""
        buffer = self.of.get(id(op.operands[0])) if op.operands else None
        if buffer is not None:
            self.of[id(op.results[0])] = buffer

    def renew(self, op: tile.RenewOp, at: int) -> None:
        """In a loop inside of the one that carries the buffer: from the begin of that loop on."""
        buffer = self.of.get(id(op.buffer))
        if buffer is not None and len(self.loops) > buffer.loops:
            inner = self.loops[buffer.loops + 1 :]
            buffer.renew(inner[0][0] if inner else at)

    def read(self, value: SSAValue, at: int) -> None:
        buffer = self.of.get(id(value))
        if buffer is None:
            return
        loops = self.loops[buffer.loops :]
        for _, used in loops[: 1 if buffer.alloc.carried is None else 2]:
            used.append(buffer)
        if len(loops) == 1:
            buffer.within = at
        elif not loops:
            buffer.use(at, at)

    def inside(self, op: Operation, at: int) -> None:
        is_loop = isinstance(op, LOOPS)
        if is_loop:
            self.loops.append((at, []))
        for region in op.regions:
            for block in region.blocks:
                self.block(block)
        if is_loop:
            first, used = self.loops.pop()
            for buffer in used:
                if buffer.loops == len(self.loops):
                    buffer.use(first, self.count - 1)
                else:
                    buffer.within = self.count - 1

    def block(self, block: Block) -> None:
        for op in block.ops:
            self.op(op)


def buffer_lifetimes(function: FuncOp, space: str) -> tuple[list[tile.AllocOp], list[Lifetime]]:
    """The allocs of a space and their lifetimes, in the same order. An unused buffer lives at its alloc."""
    walk = Walk(space)
    walk.op(function)
    lifetimes: list[Lifetime] = []
    for index, buffer in enumerate(walk.buffers):
        first, last = (buffer.at, buffer.at) if buffer.first < 0 else (buffer.first, buffer.last)
        label, size_bytes = buffer.alloc.label.data, buffer.alloc.size_bytes.value.data
        lifetimes.append(Lifetime(index, label, size_bytes, first, last, tuple(buffer.gaps)))
    return [buffer.alloc for buffer in walk.buffers], lifetimes
