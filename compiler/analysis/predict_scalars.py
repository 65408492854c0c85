"""Instructions of the scalar engine around the others: how many, by what the selector makes of an op (compiler/selection)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import arith, scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import tile
from compiler.scalars import constant_of
from compiler.selection.placement import Placer, Setting
from compiler.selection.views import form_of
from isa.descriptor import Descriptor

LAST_WALKED = 3  # strips are worked on one iteration after they are loaded, and the last one may be smaller


@dataclass(frozen=True)
class ViewForm:
    """A view's constant part, and where its fields come from; the base is `plus` bytes behind its value."""

    constant: Descriptor
    base: SSAValue | None
    plus: int
    extents: tuple[int | SSAValue, ...]
    strides: tuple[int | SSAValue, ...]
    result: SSAValue


@dataclass(frozen=True)
class ArithmeticForm:
    """Operands and result of a scalar op; a constant on the left of what cannot be swapped takes an instruction more."""

    a: SSAValue
    b: SSAValue
    result: SSAValue
    instructions: int


class ScalarCosts:
    """Of one function."""

    def __init__(self, function: FuncOp) -> None:
        plan = Placer(function).plan()
        self.before = {op: by_view(settings) for op, settings in plan.before.items()}
        self.entering = {op: by_view(settings) for op, settings in plan.entering.items()}
        self.known_views: dict[tile.ViewOp, ViewForm] = {}
        self.known_arithmetic: dict[Operation, ArithmeticForm] = {}
        self.known_periods: dict[scf.ForOp, int] = {}
        self.known_reads: dict[scf.ForOp, tuple[tile.LdsOp, ...]] = {}
        self.known_layers: dict[scf.ForOp, bool] = {}

    def view(self, op: tile.ViewOp) -> ViewForm:
        found = self.known_views.get(op)
        if found is None:
            found = self.known_views[op] = self.new_view(op)
        return found

    def new_view(self, op: tile.ViewOp) -> ViewForm:
        form = form_of(op)
        base = next((field for field in form.fields if field.name == "base"), None)
        return ViewForm(
            form.descriptor,
            base.value if base is not None else None,
            base.plus if base is not None else 0,
            op.full_extents() if op.dynamic_extents else (),
            op.full_strides() if op.dynamic_strides else (),
            op.result,
        )

    def arithmetic(self, op: Operation) -> ArithmeticForm:
        found = self.known_arithmetic.get(op)
        if found is None:
            a, b = op.operands
            loads = isinstance(op, arith.SubiOp | arith.DivSIOp | arith.RemSIOp) and constant_of(a) is not None
            found = self.known_arithmetic[op] = ArithmeticForm(a, b, op.results[0], 1 + loads)
        return found

    def branch(self, op: scf.IfOp, taken: bool) -> int:
        """The branch, the constants it compares with, and the jump behind the first side of two."""
        compare = op.cond.owner
        operands = compare.operands if isinstance(compare, arith.CmpiOp) else ()
        constants = sum(constant_of(value) not in (None, 0) for value in operands)
        return 1 + constants + (taken and bool(op.false_region.blocks))

    def period(self, op: scf.ForOp) -> int:
        """After how many iterations a loop does the same again: 2 if buffers take turns, else 1. 0: nobody knows, as a branch
        depends on what is read from memory.
        """
        found = self.known_periods.get(op)
        if found is None:
            found = self.known_periods[op] = 0 if self.kind_reads(op) else 2 if op.iter_args else 1
        return found

    def kind_reads(self, op: scf.ForOp) -> tuple[tile.LdsOp, ...]:
        """The reads in a loop that its branches depend on."""
        found = self.known_reads.get(op)
        if found is None:
            conditions = [inner.cond.owner for inner in op.walk() if isinstance(inner, scf.IfOp)]
            compared = [
                value for compare in conditions if isinstance(compare, arith.CmpiOp) for value in compare.operands
            ]
            owners = dict.fromkeys(value.owner for value in compared if isinstance(value.owner, tile.LdsOp))
            found = self.known_reads[op] = tuple(owner for owner in owners if op.is_ancestor(owner))
        return found

    def is_layers(self, op: scf.ForOp) -> bool:
        """Whether a loop is over layers: those have marks, and nothing is carried from one to the next."""
        found = self.known_layers.get(op)
        if found is None:
            marked = any(isinstance(inner, tile.MarkOp) for inner in op.body.block.ops)
            found = self.known_layers[op] = marked and not op.iter_args
        return found


def by_view(settings: Sequence[Setting]) -> tuple[tuple[tile.ViewOp, int], ...]:
    """How many instructions make a descriptor, for each view that gives it its name."""
    counts: dict[tile.ViewOp, int] = {}
    for setting in settings:
        view = setting.placement.form.view
        counts[view] = counts.get(view, 0) + setting.instructions
    return tuple(counts.items())
