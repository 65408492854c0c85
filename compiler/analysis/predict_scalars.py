"""Instructions of the scalar engine around the others: how many, by what the selector makes of an op (compiler/selection)."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IntegerAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import tile
from compiler.selection.views import ViewPlan, plan_views
from isa.descriptor import Descriptor

LAST_WALKED = 3  # strips are worked on one iteration after they are loaded, and the last one may be smaller


def constant_of(value: SSAValue) -> int | None:
    """The number a value is known to be."""
    owner = value.owner
    if isinstance(owner, arith.ConstantOp) and isinstance(owner.value, IntegerAttr):
        return owner.value.value.data
    return None


def loop_around(op: Operation | None) -> Operation | None:
    """The innermost loop an op is in."""
    op = op.parent_op() if op is not None else None
    while op is not None and not isinstance(op, scf.ForOp | scf.WhileOp):
        op = op.parent_op()
    return op


def loop_of(value: SSAValue) -> Operation | None:
    """The innermost loop a value changes in."""
    owner = value.owner
    if isinstance(owner, Block):
        parent = owner.parent_op()
        return parent if isinstance(parent, scf.ForOp | scf.WhileOp) else loop_around(parent)
    return loop_around(owner)


@dataclass(frozen=True)
class ViewForm:
    """A view's constant part, the instructions that set its fields in the innermost loop, and where the fields come from."""

    constant: Descriptor
    instructions: int
    base: SSAValue | None
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
        self.plans: dict[SSAValue, ViewPlan] = plan_views(function)
        self.known_views: dict[tile.ViewOp, ViewForm] = {}
        self.known_arithmetic: dict[Operation, ArithmeticForm] = {}
        self.known_reloads: dict[Operation, int] = {}
        self.known_periods: dict[scf.ForOp, int] = {}
        self.known_reads: dict[scf.ForOp, tuple[tile.LdsOp, ...]] = {}
        self.known_layers: dict[scf.ForOp, bool] = {}

    def view(self, op: tile.ViewOp) -> ViewForm:
        found = self.known_views.get(op)
        if found is None:
            found = self.known_views[op] = self.new_view(op)
        return found

    def new_view(self, op: tile.ViewOp) -> ViewForm:
        plan = self.plans[op.result]
        constant = plan.descriptor
        fields = [field for field in plan.fields if loop_of(field.value) is loop_around(op)]
        plus = sum(field.plus for field in plan.fields if field.name == "base")
        return ViewForm(
            constant.with_field("base", plus) if plus else constant,
            sum(2 if field.plus else 1 for field in fields) if plan.resident else 0,
            op.base,
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

    def reloaded(self, op: Operation) -> int:
        """Instructions in front of an engine op for views that have no register of their own."""
        found = self.known_reloads.get(op)
        if found is None:
            plans = [self.plans[operand] for operand in op.operands if operand in self.plans]
            found = sum(1 + sum(2 if field.plus else 1 for field in plan.fields) for plan in plans if not plan.resident)
            self.known_reloads[op] = found
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
