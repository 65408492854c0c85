"""What engines do: one op is one instruction later on."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    Float32Type,
    FloatAttr,
    IndexType,
    StringAttr,
    UnitAttr,
)
from xdsl.ir import Operation
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
)
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.tile.memory import ViewType
from isa.spec import VBIN, VMAD, VRED, VUN


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
