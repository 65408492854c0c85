"""A pattern of simplify-indices: what is known of base, extents and strides stands in the op and is no operand.
The base of a view in sram is then what changes, and a number:
    tile.view %b in sram + (%x + 64) + 16 as f32 [%c4, ..]   ->   tile.view %b in sram + %x + 80 as f32 [4, ..]
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, i64
from xdsl.ir import Attribute, SSAValue
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern, op_type_rewrite_pattern

from compiler.dialects import tile
from compiler.locations import replace_keep_loc
from compiler.scalars import constant_of
from compiler.selection.views import FIELD_RANGES


def constant_part(value: SSAValue) -> tuple[SSAValue | None, int]:
    """A sum as what is not known of it, and a number."""
    number = 0
    while isinstance(value.owner, arith.AddiOp):
        sides = (value.owner.lhs, value.owner.rhs)
        constant = next((side for side in sides if constant_of(side) is not None), None)
        if constant is None:
            break
        number += constant_of(constant) or 0
        value = sides[0] if constant is sides[1] else sides[1]
    known = constant_of(value)
    return (value, number) if known is None else (None, number + known)


def numbers_of(letter: str, values: Sequence[int | SSAValue]) -> list[int | SSAValue]:
    """With numbers for what is known. What no view can have stays an operand: it stands where the program never comes."""
    if all([isinstance(value, int) for value in values]):
        return list(values)
    found: list[int | SSAValue] = []
    for position, value in enumerate(values):
        known = value if isinstance(value, int) else constant_of(value)
        low, high = FIELD_RANGES[f"{letter}{position}"]
        fits = known is not None and max(low, 1 if letter == "e" else low) <= known <= high
        found.append(known if fits and known is not None else value)
    return found


class FoldView(RewritePattern):
    """See the module docstring."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: tile.ViewOp, rewriter: PatternRewriter) -> None:
        given, all_extents, all_strides = op.base, op.full_extents(), op.full_strides()
        base, number = constant_part(given) if given is not None else (None, 0)
        if base is None and op.static_base.value.data + number < 0:
            base, number = given, 0
        extents, strides = numbers_of("e", all_extents), numbers_of("s", all_strides)
        if (base, extents, strides) == (given, list(all_extents), list(all_strides)):
            return
        properties: dict[str, Attribute] = {
            name: value for name, value in op.properties.items() if name != "operandSegmentSizes"
        }
        properties["static_base"] = IntegerAttr(op.static_base.value.data + number, i64)
        for name, values in (("extents", extents), ("strides", strides)):
            fixed = [value if isinstance(value, int) else tile.DYNAMIC for value in values]
            properties[name] = DenseArrayBase.from_list(i64, fixed)
        dynamic = [[value for value in values if not isinstance(value, int)] for values in (extents, strides)]
        new = tile.ViewOp(operands=[op.buffer, base, *dynamic], properties=properties, result_types=[tile.ViewType()])
        replace_keep_loc(rewriter, op, new)
