"""Operations on the last dimension that routing is made of. Bases of two dialects' ops: what they mean differs in exactness only."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import IntegerAttr, TensorType, f32, i32, i64
from xdsl.ir import Operation, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm.attributes import Shape, shape_of
from isa.spec import MAX_TOPK

MIXTURE = "slm.mixture"
MOST_CHOSEN = MAX_TOPK


def rows_of(op: str, x: SSAValue) -> Shape:
    """The shape of the operand. The first dimension is the tokens: what works on the last one leaves it alone."""
    shape = shape_of(x)
    if len(shape) < 2 or x.type != TensorType(f32, shape):
        raise VerifyException(f"{op} works on the last dimension of f32 [T, ..], found {x.type}")
    return shape


class SoftmaxBase(IRDLOperation):
    """exp(x - max(x)) / sum(exp(x - max(x))) over the last dimension."""

    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x)"

    def verify_(self) -> None:
        rows_of(self.name, self.x)


class ReduceSumBase(IRDLOperation):
    """The sum over the last dimension, which stays with size 1."""

    x = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        shape = rows_of(self.name, self.x)
        expected = TensorType(f32, (*shape[:-1], 1))
        if self.result.type != expected:
            raise VerifyException(f"{self.name} of {self.x.type} is {expected}, found {self.result.type}")


class TopKBase(IRDLOperation):
    """The `count` largest of the last dimension stay (of equals the first), the others become 0; `chosen` are their indices,
    the largest first, -1 where there are fewer."""

    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    count = prop_def(IntegerAttr[i64])
    result = result_def(T)
    chosen = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `count` $count attr-dict `:` type($x) `,` type($chosen)"

    def verify_(self) -> None:
        shape, count = rows_of(self.name, self.x), self.count.value.data
        if not 1 <= count <= min(shape[-1], MOST_CHOSEN):
            raise VerifyException(f"{self.name} keeps 1 to {min(shape[-1], MOST_CHOSEN)} of {shape}, found {count}")
        chosen = TensorType(i32, (*shape[:-1], count))
        if self.chosen.type != chosen:
            raise VerifyException(f"the choice of {count} of {shape} is {chosen}, found {self.chosen.type}")


class ColumnBase(IRDLOperation):
    """Element `index` of the last dimension, which stays with size 1; without an index that of the expert of the mixture around it."""

    x = operand_def(TensorType)
    index = opt_prop_def(IntegerAttr[i64])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x (`at` $index^)? attr-dict `:` type($x) `->` type($result)"

    def number(self, expert: int | None) -> int:
        """The index, given the expert of the mixture around it."""
        if self.index is not None:
            return self.index.value.data
        if expert is None:
            raise ValueError("the column of the expert, but there is no mixture around it")
        return expert

    def verify_(self) -> None:
        shape = rows_of(self.name, self.x)
        if self.index is not None and not 0 <= self.index.value.data < shape[-1]:
            raise VerifyException(f"column {self.index.value.data} of {shape}")
        if self.index is None and not is_in_mixture(self):
            raise VerifyException("the column of the expert, but there is no mixture around it")
        expected = TensorType(f32, (*shape[:-1], 1))
        if self.result.type != expected:
            raise VerifyException(f"{self.name} of {self.x.type} is {expected}, found {self.result.type}")


def is_in_mixture(op: Operation) -> bool:
    current = op.parent_op()
    while current is not None and current.name != MIXTURE:
        current = current.parent_op()
    return current is not None


@irdl_op_definition
class SoftmaxOp(SoftmaxBase):
    name = "slm.softmax"


@irdl_op_definition
class ReduceSumOp(ReduceSumBase):
    name = "slm.reduce_sum"


@irdl_op_definition
class TopKOp(TopKBase):
    name = "slm.top_k"


@irdl_op_definition
class ColumnOp(ColumnBase):
    name = "slm.column"
