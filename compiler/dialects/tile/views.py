"""Views of memory: what tensor descriptors say."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    DenseArrayBase,
    IndexType,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.attributes import numbers_in
from compiler.blocks import NIBBLES
from compiler.dialects.tile.memory import DTYPES, DYNAMIC, SPACES, BufferType, ViewType
from isa.spec import BLOCKED_DTYPES, MIN_GLOG2_4BIT


@irdl_op_definition
class ViewOp(IRDLOperation):
    """A tensor descriptor: `tile.view %buffer + %offset + 64 as i8 [64, %T, 1, 1] strides [1, 64, 0, 0]`.

    Without a buffer the first word names a DRAM region, and the base is relative to it. `as i4 group 64 sparse`: the elements
    that share a scale, which for i4 and e2m1 are also those stored together, and 2:4 sparse rows. `blocked`: rows of weights or of
    their scales in blocks of 16 (docs/isa.md section 3); the stride of dimension 1 is then from block to block, that of dimension 0 is 0.
    """

    name = "tile.view"
    buffer = opt_operand_def(BufferType)
    base = opt_operand_def(IndexType)
    dynamic_extents = var_operand_def(IndexType)
    dynamic_strides = var_operand_def(IndexType)
    space = prop_def(StringAttr)
    dtype = prop_def(StringAttr)
    group = opt_prop_def(IntegerAttr[i64])
    sparse = opt_prop_def(UnitAttr)
    blocked = opt_prop_def(UnitAttr)
    static_base = prop_def(IntegerAttr[i64])
    extents = prop_def(DenseArrayBase[i64])
    strides = prop_def(DenseArrayBase[i64])
    result = result_def(ViewType)
    traits = traits_def(Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def full_extents(self) -> tuple[int | SSAValue, ...]:
        """The four extents, each a number or the operand that gives it."""
        values = numbers_in(self.extents)
        return values if DYNAMIC not in values else merge(values, self.dynamic_extents)

    def full_strides(self) -> tuple[int | SSAValue, ...]:
        """The four byte strides, each a number or the operand that gives it."""
        values = numbers_in(self.strides)
        return values if DYNAMIC not in values else merge(values, self.dynamic_strides)

    def verify_(self) -> None:
        if self.space.data not in SPACES or self.dtype.data not in DTYPES:
            raise VerifyException(f"unknown space or dtype: {self.space.data}, {self.dtype.data}")
        if (self.buffer is None) == (self.space.data in ("sram", "smem")):
            raise VerifyException("a view of sram or smem has a buffer, a view of DRAM has none")
        extents, strides = numbers_in(self.extents), numbers_in(self.strides)
        for values, operands in ((extents, self.dynamic_extents), (strides, self.dynamic_strides)):
            if len(values) != 4 or values.count(DYNAMIC) != len(operands):
                raise VerifyException("a view has four extents and four strides, one operand for each dynamic one")
        if any([extent < 1 for extent in extents if extent != DYNAMIC]):
            raise VerifyException(f"an extent is at least 1, found {extents}")
        group = self.group_size
        if group < 1 or group & (group - 1) or (self.dtype.data in NIBBLES and group < 1 << MIN_GLOG2_4BIT):
            raise VerifyException(f"groups are powers of two, those of i4 and e2m1 32 or more, found {group}")
        if self.sparse is not None and self.dtype.data not in ("i8", "i4"):
            raise VerifyException(f"only rows of i8 and i4 are sparse, found {self.dtype.data}")
        if self.blocked is None:
            return
        if self.sparse is not None or DTYPES[self.dtype.data] not in BLOCKED_DTYPES:
            found = "sparse rows" if self.sparse is not None else self.dtype.data
            raise VerifyException(f"{found} cannot be blocked")
        if strides[0] != 0:
            raise VerifyException(f"blocked rows have no stride of dimension 0, found {strides[0]}")

    @property
    def group_size(self) -> int:
        """Elements of a group, 1 if the view does not say."""
        return 1 if self.group is None else self.group.value.data

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        if self.buffer is None:
            printer.print_string(self.space.data)
        else:
            printer.print_ssa_value(self.buffer)
            printer.print_string(f" in {self.space.data}")
        if self.base is not None:
            printer.print_string(" + ")
            printer.print_ssa_value(self.base)
        printer.print_string(f" + {self.static_base.value.data} as {self.dtype.data} ")
        if self.group is not None:
            printer.print_string(f"group {self.group.value.data} ")
        for word, attribute in (("sparse ", self.sparse), ("blocked ", self.blocked)):
            if attribute is not None:
                printer.print_string(word)
        printer.print_string("[")
        printer.print_list(self.full_extents(), lambda value: print_mixed(printer, value))
        printer.print_string("] strides [")
        printer.print_list(self.full_strides(), lambda value: print_mixed(printer, value))
        printer.print_string("]")

    @classmethod
    def parse(cls, parser: Parser) -> ViewOp:
        buffer = parser.parse_optional_unresolved_operand()
        operands: list[Sequence[SSAValue]] = [[]]
        if buffer is not None:
            operands = [[parser.resolve_operand(buffer, BufferType())]]
            parser.parse_keyword("in")
        space = parser.parse_identifier()
        parser.parse_punctuation("+")
        base = parser.parse_optional_unresolved_operand()
        if base is not None:
            parser.parse_punctuation("+")
        operands.append([parser.resolve_operand(base, IndexType())] if base is not None else [])
        static_base = parser.parse_integer()
        parser.parse_keyword("as")
        properties: dict[str, Attribute] = {"dtype": StringAttr(parser.parse_identifier())}
        if parser.parse_optional_keyword("group") is not None:
            properties["group"] = IntegerAttr(parser.parse_integer(), i64)
        for word in ("sparse", "blocked"):
            if parser.parse_optional_keyword(word) is not None:
                properties[word] = UnitAttr()
        extents, dynamic_extents = parse_mixed(parser)
        parser.parse_keyword("strides")
        strides, dynamic_strides = parse_mixed(parser)
        return cls(
            operands=[*operands, dynamic_extents, dynamic_strides],
            properties={
                **properties,
                "space": StringAttr(space),
                "static_base": IntegerAttr(static_base, i64),
                "extents": DenseArrayBase.from_list(i64, extents),
                "strides": DenseArrayBase.from_list(i64, strides),
            },
            result_types=[ViewType()],
        )


def merge(values: Sequence[int], operands: Sequence[SSAValue]) -> tuple[int | SSAValue, ...]:
    remaining = iter(operands)
    return tuple([next(remaining) if value == DYNAMIC else value for value in values])


def print_mixed(printer: Printer, value: int | SSAValue) -> None:
    if isinstance(value, int):
        printer.print_string(str(value))
    else:
        printer.print_ssa_value(value)


def parse_mixed(parser: Parser) -> tuple[list[int], list[SSAValue]]:
    """`[4, %T, 1]`: the numbers with DYNAMIC for operands, and the operands."""
    dynamic: list[SSAValue] = []

    def entry() -> int:
        operand = parser.parse_optional_unresolved_operand()
        if operand is None:
            return parser.parse_integer()
        dynamic.append(parser.resolve_operand(operand, IndexType()))
        return DYNAMIC

    return parser.parse_comma_separated_list(parser.Delimiter.SQUARE, entry), dynamic
