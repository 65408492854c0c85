"""tile: buffers in named memory spaces, copies, tile compute and loops; one engine op is one instruction later on.

Control flow is scf, scalars are arith on `index`. A `!tile.view` is what a tensor descriptor will say: a place, an element type, four
extents and four byte strides, innermost first. Engines run asynchronously, but the meaning is that of sequential execution: the
hardware interlocks by address. Offsets of buffers are assigned by allocate-sram, places in DRAM by allocate-dram.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    DenseArrayBase,
    DictionaryAttr,
    Float32Type,
    FloatAttr,
    IndexType,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Attribute, Dialect, Operation, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
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
from isa.spec import BLOCKED_DTYPES, MIN_GLOG2_4BIT, SMEM_WIDTHS, VBIN, VMAD, VRED, VUN, Dtype, Region

DYNAMIC = -(1 << 62)  # an extent or stride given by an operand
SPACES = {region.name.lower(): region for region in Region}
DTYPES = {dtype.name.lower(): dtype for dtype in Dtype}


@irdl_attr_definition
class BufferType(ParametrizedAttribute, TypeAttribute):
    """A buffer in SRAM or SMEM; its alloc op knows how many bytes."""

    name = "tile.buffer"


@irdl_attr_definition
class ViewType(ParametrizedAttribute, TypeAttribute):
    """What a tensor descriptor says."""

    name = "tile.view"


@irdl_op_definition
class AllocOp(IRDLOperation):
    """`size_bytes` bytes of `space` (sram or smem). `stream`: filled anew in each iteration of its loop, so double-buffer may rotate it.
    `carried`: an iteration of the loop behind it fills it for the next one (see RenewOp).
    """

    name = "tile.alloc"
    label = prop_def(StringAttr)
    space = prop_def(StringAttr)
    size_bytes = prop_def(IntegerAttr[i64])
    stream = opt_prop_def(UnitAttr)
    carried = opt_prop_def(UnitAttr)
    offset = opt_prop_def(IntegerAttr[i64])
    result = result_def(BufferType)
    assembly_format = (
        "$label `in` $space `bytes` $size_bytes (`stream` $stream^)? (`carried` $carried^)? (`at` $offset^)?"
        " attr-dict `:` type($result)"
    )

    def verify_(self) -> None:
        if self.space.data not in ("sram", "smem"):
            raise VerifyException(f'a buffer is in sram or smem, found "{self.space.data}"')
        if self.size_bytes.value.data < 1:
            raise VerifyException(f"a buffer has at least 1 byte, found {self.size_bytes.value.data}")


@irdl_op_definition
class RenewOp(IRDLOperation):
    """Nothing that a carried buffer holds is needed any more: from here on it is written anew. Between its last use and this op others may
    have its memory."""

    name = "tile.renew"
    buffer = operand_def(BufferType)
    assembly_format = "$buffer attr-dict"

    def verify_(self) -> None:
        alloc = self.buffer.owner
        if not isinstance(alloc, AllocOp) or alloc.carried is None:
            raise VerifyException("only a carried buffer is renewed")


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


class _Place(IRDLOperation):
    """An offset in a DRAM region, chosen by allocate-dram; `layer` selects the layer where the name holds `{i}`."""

    traits = traits_def(Pure())
    assembly_format = "$what (`layer` $layer^)? attr-dict `:` type($result)"


@irdl_op_definition
class WeightOp(_Place):
    """Offset in WEIGHT of a packed weight. `what`: the recipe, see compiler/emit/packing.py."""

    name = "tile.weight"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class StateOp(_Place):
    """Offset in KV of a layer's state. `what`: name, part, size_bytes."""

    name = "tile.state"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class TableOp(_Place):
    """Offset in TABLE of a constant table. `what`: the recipe, see compiler/emit/tables.py."""

    name = "tile.table"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class ScratchOp(_Place):
    """Offset in SCRATCH of a tensor that does not outlive the run. `what`: name, size_bytes."""

    name = "tile.scratch"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


@irdl_op_definition
class InputOp(_Place):
    """Offset in IO of what the host writes besides the tokens. `what`: name, size_bytes."""

    name = "tile.input"
    layer = opt_operand_def(IndexType)
    what = prop_def(DictionaryAttr)
    result = result_def(IndexType)


PLACE_OPS = (WeightOp, StateOp, TableOp, ScratchOp, InputOp)


@irdl_op_definition
class KindOp(IRDLOperation):
    """A number that each layer has of its own: its kind, which is the region of a slm.layers it runs, or the bits of a constant.

    `group` says of what.
    """

    name = "tile.kind"
    group = prop_def(StringAttr)
    kinds = prop_def(DenseArrayBase[i64])
    layer = operand_def(IndexType)
    result = result_def(IndexType)
    traits = traits_def(Pure())
    assembly_format = "$group $kinds $layer attr-dict `:` type($result)"


@irdl_op_definition
class LoadOp(IRDLOperation):
    """DRAM to SRAM or SMEM: same dtype and extents."""

    name = "tile.load"
    target = operand_def(ViewType)
    source = operand_def(ViewType)
    assembly_format = "$target `,` $source attr-dict"


@irdl_op_definition
class StoreOp(IRDLOperation):
    """SRAM or SMEM to DRAM: same dtype and extents."""

    name = "tile.store"
    target = operand_def(ViewType)
    source = operand_def(ViewType)
    assembly_format = "$target `,` $source attr-dict"


@irdl_op_definition
class MmOp(IRDLOperation):
    """c (+)= a * b transposed."""

    name = "tile.mm"
    c = operand_def(ViewType)
    a = operand_def(ViewType)
    b = operand_def(ViewType)
    accumulate = opt_prop_def(UnitAttr)
    assembly_format = "$c `,` $a `,` $b (`accumulate` $accumulate^)? attr-dict"


@irdl_op_definition
class MmgOp(IRDLOperation):
    """c (+)= sum over the groups of b of (a * b transposed) * scales."""

    name = "tile.mmg"
    c = operand_def(ViewType)
    a = operand_def(ViewType)
    b = operand_def(ViewType)
    scales = operand_def(ViewType)
    accumulate = opt_prop_def(UnitAttr)
    assembly_format = "$c `,` $a `,` $b `scales` $scales (`accumulate` $accumulate^)? attr-dict"


class _Vector(IRDLOperation):
    """An elementwise op whose last source is a view, a constant or fp32 bits in a scalar."""

    irdl_options = (AttrSizedOperandSegments(as_property=True),)


def check_function(op: str, function: str, known: tuple[str, ...]) -> None:
    if function not in known:
        raise VerifyException(f'{op} has no function "{function}" (known: {", ".join(known)})')


def check_scalar(op: Operation, sources: Sequence[object]) -> None:
    if sum(source is not None for source in sources) != 1:
        raise VerifyException(f"{op.name} takes exactly one of a view, a constant and a scalar")


@irdl_op_definition
class VbinOp(_Vector):
    """target = a f (b, constant or scalar)."""

    name = "tile.vbin"
    function = prop_def(StringAttr)
    target = operand_def(ViewType)
    a = operand_def(ViewType)
    b = opt_operand_def(ViewType)
    scalar = opt_operand_def(IndexType)
    constant = opt_prop_def(FloatAttr[Float32Type])
    assembly_format = "$function $target `,` $a (`,` $b^)? (`constant` $constant^)? (`scalar` $scalar^)? attr-dict"

    def verify_(self) -> None:
        check_function(self.name, self.function.data, VBIN)
        check_scalar(self, (self.b, self.scalar, self.constant))


@irdl_op_definition
class VmadOp(_Vector):
    """mad a*b+c, msub a*b-c, nmsub c-a*b."""

    name = "tile.vmad"
    function = prop_def(StringAttr)
    target = operand_def(ViewType)
    a = operand_def(ViewType)
    c = operand_def(ViewType)
    b = opt_operand_def(ViewType)
    scalar = opt_operand_def(IndexType)
    constant = opt_prop_def(FloatAttr[Float32Type])
    assembly_format = (
        "$function $target `,` $a `,` $c (`by` $b^)? (`constant` $constant^)? (`scalar` $scalar^)? attr-dict"
    )

    def verify_(self) -> None:
        check_function(self.name, self.function.data, VMAD)
        check_scalar(self, (self.b, self.scalar, self.constant))


@irdl_op_definition
class VunOp(_Vector):
    """target = f(a, constant or scalar)."""

    name = "tile.vun"
    function = prop_def(StringAttr)
    target = operand_def(ViewType)
    a = opt_operand_def(ViewType)
    scalar = opt_operand_def(IndexType)
    constant = opt_prop_def(FloatAttr[Float32Type])
    assembly_format = "$function $target (`,` $a^)? (`constant` $constant^)? (`scalar` $scalar^)? attr-dict"

    def verify_(self) -> None:
        check_function(self.name, self.function.data, VUN)
        check_scalar(self, (self.a, self.scalar, self.constant))


@irdl_op_definition
class VredOp(IRDLOperation):
    """Reduces dimension 0 of a."""

    name = "tile.vred"
    function = prop_def(StringAttr)
    target = operand_def(ViewType)
    a = operand_def(ViewType)
    assembly_format = "$function $target `,` $a attr-dict"

    def verify_(self) -> None:
        check_function(self.name, self.function.data, VRED)


@irdl_op_definition
class VsmxOp(IRDLOperation):
    """One online-softmax block: p from s, (m, l, alpha) in ml; key j of token i is visible if 0 <= first + i - j < window."""

    name = "tile.vsmx"
    p = operand_def(ViewType)
    s = operand_def(ViewType)
    ml = operand_def(ViewType)
    first = operand_def(IndexType)
    window = operand_def(IndexType)
    assembly_format = "$p `,` $s `,` $ml `first` $first `window` $window attr-dict"


@irdl_op_definition
class VtopkOp(IRDLOperation):
    """Merges row a, whose first element has this index, into the sorted list."""

    name = "tile.vtopk"
    list = operand_def(ViewType)
    a = operand_def(ViewType)
    index = operand_def(IndexType)
    assembly_format = "$list `,` $a `index` $index attr-dict"


@irdl_op_definition
class VrngOp(IRDLOperation):
    """Uniform numbers in (0, 1) by Philox with this key and counter."""

    name = "tile.vrng"
    target = operand_def(ViewType)
    first = operand_def(IndexType)
    second = operand_def(IndexType)
    key = operand_def(IndexType)
    assembly_format = "$target `counter` $first `,` $second `key` $key attr-dict"


def check_width(op: str, width: int) -> None:
    if str(width) not in SMEM_WIDTHS:
        raise VerifyException(f"{op} moves {', '.join(SMEM_WIDTHS)} bytes, found {width}")


@irdl_op_definition
class LdsOp(IRDLOperation):
    """Reads `width` bytes of SMEM: at an address, or within a buffer."""

    name = "tile.lds"
    buffer = opt_operand_def(BufferType)
    address = opt_operand_def(IndexType)
    width = prop_def(IntegerAttr[i64])
    displacement = prop_def(IntegerAttr[i64])
    result = result_def(IndexType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = "$width (`of` $buffer^)? (`at` $address^)? `+` $displacement attr-dict `:` type($result)"

    def verify_(self) -> None:
        check_width(self.name, self.width.value.data)


@irdl_op_definition
class StsOp(IRDLOperation):
    """Writes `width` bytes of SMEM: at an address, or within a buffer."""

    name = "tile.sts"
    value = operand_def(IndexType)
    buffer = opt_operand_def(BufferType)
    address = opt_operand_def(IndexType)
    width = prop_def(IntegerAttr[i64])
    displacement = prop_def(IntegerAttr[i64])
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = "$width $value (`of` $buffer^)? (`at` $address^)? `+` $displacement attr-dict"

    def verify_(self) -> None:
        check_width(self.name, self.width.value.data)


@irdl_op_definition
class EventOp(IRDLOperation):
    """Posts (kind, value) to the host."""

    name = "tile.event"
    value = operand_def(IndexType)
    kind = prop_def(IntegerAttr[i64])
    assembly_format = "$kind $value attr-dict"


@irdl_op_definition
class MarkOp(IRDLOperation):
    """Labels a point of the profile."""

    name = "tile.mark"
    value = operand_def(IndexType)
    label = prop_def(IntegerAttr[i64])
    assembly_format = "$label $value attr-dict"


@irdl_op_definition
class TrapOp(IRDLOperation):
    """Stops with cause PROGRAM."""

    name = "tile.trap"
    code = prop_def(IntegerAttr[i64])
    assembly_format = "$code attr-dict"


ENGINE_OPS = (LoadOp, StoreOp, MmOp, MmgOp, VbinOp, VmadOp, VunOp, VredOp, VsmxOp, VtopkOp, VrngOp)
TILE_OPS: list[type[Operation]] = [
    AllocOp, RenewOp, ViewOp, *PLACE_OPS, KindOp, LdsOp, StsOp, EventOp, MarkOp, TrapOp, *ENGINE_OPS,
]  # fmt: skip
TILE_TYPES: list[type[Attribute]] = [BufferType, ViewType]
Tile = Dialect("tile", TILE_OPS, TILE_TYPES)
