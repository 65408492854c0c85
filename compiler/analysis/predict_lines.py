"""The ops of a function as the prediction walks them: taken apart once, and not at every visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation

from compiler.analysis.predict_operations import OPERANDS, EngineForm
from compiler.analysis.predict_scalars import ArithmeticForm, ScalarCosts, ViewForm
from compiler.dialects import tile
from compiler.locations import operator_of, source_of
from compiler.scalars import ARITHMETIC

Settings = tuple[tuple[str, int], ...]
"""Instructions that make descriptors, by operator."""


@dataclass(frozen=True, eq=False)
class Line:
    """An op. name: the operator that its time is attributed to. form: what its kind needs."""

    op: Operation
    name: str
    before: Settings
    entering: Settings
    form: EngineForm | ViewForm | ArithmeticForm | None


@dataclass(frozen=True)
class Lines:
    """A block: its ops without the last one, and the identities of what that yields."""

    ops: tuple[Line, ...]
    yielded: tuple[int, ...]


class Program:
    """The lines of one function, made when a walk comes to them."""

    def __init__(self, function: FuncOp) -> None:
        self.function, self.scalars = function, ScalarCosts(function)
        self.known: dict[Block, Lines] = {}
        self.names: dict[Operation, str] = {}

    def lines(self, block: Block) -> Lines:
        found = self.known.get(block)
        if found is None:
            ops, yielded = list(block.ops), ()
            if ops and isinstance(ops[-1], scf.YieldOp | scf.ConditionOp | ReturnOp):
                yielded = tuple([id(value) for value in ops.pop().operands])
            found = self.known[block] = Lines(tuple([self.line(op) for op in ops]), yielded)
        return found

    def line(self, op: Operation) -> Line:
        before, entering = self.scalars.before.get(op, ()), self.scalars.entering.get(op, ())
        return Line(op, self.name(op), self.settings(before), self.settings(entering), form_of(op))

    def name(self, op: Operation) -> str:
        found = self.names.get(op)
        if found is None:
            source = source_of(op.location)
            found = self.names[op] = operator_of(op.location) + (f" {source}" if source else "")
        return found

    def settings(self, counts: Sequence[tuple[tile.ViewOp, int]]) -> Settings:
        return tuple([(self.name(view), instructions) for view, instructions in counts])


def form_of(op: Operation) -> EngineForm | ViewForm | ArithmeticForm | None:
    if type(op) in OPERANDS:
        return EngineForm(op)
    if isinstance(op, tile.ViewOp):
        return ViewForm(op)
    return ArithmeticForm(op) if type(op) in ARITHMETIC else None
