"""Instructions of the scalar engine around the others: how many, by what the selector makes of an op (compiler/selection)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.dialects import arith, scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from compiler.dialects import tile
from compiler.scalars import ARITHMETIC, constant_of
from compiler.selection.placement import Placer, Setting
from compiler.selection.views import form_of
from isa.descriptor import Descriptor

LAST_WALKED = 3  # strips are worked on one iteration after they are loaded, and the last one may be smaller


class ViewForm:
    """A view, taken apart once: its constant part, and where its fields come from; the base is `plus` bytes behind its value. Values are
    known by their identities, tuples by extents and strides are empty if all of them are numbers."""

    def __init__(self, op: tile.ViewOp) -> None:
        form = form_of(op)
        base = next((field for field in form.fields if field.name == "base"), None)
        self.constant, self.result = form.descriptor, id(op.result)
        self.base = None if base is None else id(base.value)
        self.plus = 0 if base is None else base.plus
        self.extents = fields_of(op.full_extents()) if op.dynamic_extents else ()
        self.strides = fields_of(op.full_strides()) if op.dynamic_strides else ()
        self.known: dict[tuple[int, ...], Descriptor] = {}
        """By base, extents and strides."""

    def descriptor(self, values: Mapping[int, int]) -> Descriptor:
        """Equal numbers give the same one."""
        constant = self.constant
        base = constant.base + self.plus + (values[self.base] if self.base is not None else 0)
        extents = [n if value is None else values[value] for n, value in self.extents]
        strides = [n if value is None else values[value] for n, value in self.strides]
        key = base, *extents, *strides
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = Descriptor(
                base,
                constant.region,
                constant.dtype,
                quad(extents) if extents else constant.extents,
                quad(strides) if strides else constant.strides,
                constant.glog2,
                constant.fmt,
            )
        return found


def fields_of(values: Sequence[int | SSAValue]) -> tuple[tuple[int, int | None], ...]:
    """A number, or the identity of a value."""
    return tuple([(value, None) if isinstance(value, int) else (0, id(value)) for value in values])


def quad(values: Sequence[int]) -> tuple[int, int, int, int]:
    return values[0], values[1], values[2], values[3]


class ArithmeticForm:
    """A scalar op: identities of operands and result; a constant on the left of what cannot be swapped takes an instruction more."""

    def __init__(self, op: Operation) -> None:
        a, b = op.operands
        loads = isinstance(op, arith.SubiOp | arith.DivSIOp | arith.RemSIOp) and constant_of(a) is not None
        self.a, self.b, self.result, self.instructions = id(a), id(b), id(op.results[0]), 1 + loads
        self.function = ARITHMETIC[type(op)]


class ScalarCosts:
    """Of one function."""

    def __init__(self, function: FuncOp) -> None:
        plan = Placer(function).plan()
        self.before = {op: by_view(settings) for op, settings in plan.before.items()}
        self.entering = {op: by_view(settings) for op, settings in plan.entering.items()}
        self.known_periods: dict[scf.ForOp, int] = {}
        self.known_reads: dict[scf.ForOp, tuple[tile.LdsOp, ...]] = {}
        self.known_layers: dict[scf.ForOp, bool] = {}

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
