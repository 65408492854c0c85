"""Which descriptor fields may be set although nobody knows yet whether the view is used: those whose value fits for certain.

tdset traps if a value does not fit its field, and a branch or the test of a loop may be what keeps a wrong one away.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.dialects import scf
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, SSAValue

from compiler.analysis.value_ranges import ANY, Range, Ranges, common, within
from compiler.scalars import trips_of
from compiler.selection.nest import Nest
from compiler.selection.views import FIELD_RANGES, Field, Form, views_in


class Speculation:
    """Of one function. A value that is certain to be put into a field later fits it: otherwise the program traps anyway."""

    def __init__(self, function: FuncOp, nest: Nest, forms: Mapping[SSAValue, Form]):
        self.nest, self.forms = nest, forms
        self.facts: dict[SSAValue, Range] = {}
        self.within: dict[Block, dict[SSAValue, Range]] = {}
        self.certain(function.body.block)
        self.ranges = Ranges(self.facts)
        self.known: dict[tuple[Field, Block], bool] = {}

    def is_safe(self, field: Field, block: Block) -> bool:
        """Whether a field may be set anywhere in a block where its value is known."""
        key = field, block
        if key not in self.known:
            low, high = self.ranges.of(field.value)
            around: Block | None = block
            while around is not None and around in self.within:
                low, high = common((low, high), self.within[around].get(field.value, ANY))
                outer = around.parent_op()
                around = outer.parent_block() if outer is not None else None
            self.known[key] = within((low + field.plus, high + field.plus), FIELD_RANGES[field.name])
        return self.known[key]

    def certain(self, block: Block) -> dict[SSAValue, Range]:
        """Ranges of values that a run of the block is certain to put into fields."""
        found: dict[SSAValue, Range] = {}
        for op in block.ops:
            parts = [self.certain(inner) for region in op.regions for inner in region.blocks]
            if isinstance(op, scf.IfOp) and len(parts) == 2:
                merge(
                    found, {value: union(parts[0][value], parts[1][value]) for value in parts[0] if value in parts[1]}
                )
            elif isinstance(op, scf.ForOp) and (trips_of(op) or 0) > 0:
                merge(found, parts[0])
            for value in views_in(op):
                for field in self.forms[value].fields:
                    low, high = FIELD_RANGES[field.name]
                    merge(found, {field.value: (low - field.plus, high - field.plus)})
        self.within[block] = found
        merge(self.facts, {value: known for value, known in found.items() if self.nest.home(value) is block})
        return found


def merge(into: dict[SSAValue, Range], more: Mapping[SSAValue, Range]) -> None:
    for value, known in more.items():
        into[value] = common(into.get(value, ANY), known)


def union(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])
