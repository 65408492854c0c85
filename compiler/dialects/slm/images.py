"""Operations on a fixed number of rows: an image and what is made of it, and its way into the tokens."""

from __future__ import annotations

from typing import ClassVar

from xdsl.dialects.builtin import Float64Type, FloatAttr, IntegerAttr, TensorType, i32, i64
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


def patches_shape(image: tuple[int, ...], size: int) -> Shape:
    """[rows * columns, C, size, size] of an image [C, h, w]. Raises VerifyException if there is no whole patch."""
    if len(image) != 3 or size < 1 or min(image) < 1 or min(image[1:]) < size:
        raise VerifyException(
            f"patches of {size} x {size} of an image {Shape(image)}: expected [C, h, w] at least as large"
        )
    return Shape(((image[1] // size) * (image[2] // size), image[0], size, size))


def concat_shape(a: tuple[int, ...], b: tuple[int, ...]) -> Shape:
    """[n + m, ..] of [n, ..] and [m, ..]. Raises VerifyException for rows that differ and for rows of tokens."""
    if not a or not b or a[1:] != b[1:] or min(a[0], b[0]) < 1:
        raise VerifyException(f"concat takes a fixed number of equal rows, found {Shape(a)} and {Shape(b)}")
    return Shape((a[0] + b[0], *a[1:]))


class PatchesBase(IRDLOperation):
    """Squares of an image [C, h, w], row by row: [h//P * w//P, C, P, P]; what is left at the right and below is dropped.

    Base of two dialects' ops.
    """

    image = operand_def(TensorType)
    size = prop_def(IntegerAttr[i64])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$image `size` $size attr-dict `:` type($image) `->` type($result)"

    def verify_(self) -> None:
        expected = patches_shape(shape_of(self.image), self.size.value.data)
        if shape_of(self.result) != expected:
            raise VerifyException(f"patches gives {expected}, found {shape_of(self.result)}")


class ConcatBase(IRDLOperation):
    """The rows of a, then those of b. Base of two dialects' ops."""

    a = operand_def(TensorType)
    b = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$a `,` $b attr-dict `:` type($a) `,` type($b) `->` type($result)"

    def verify_(self) -> None:
        expected = concat_shape(shape_of(self.a), shape_of(self.b))
        if shape_of(self.result) != expected:
            raise VerifyException(f"concat gives {expected}, found {shape_of(self.result)}")


class L2NormalizeBase(IRDLOperation):
    """x / max(sqrt(sum(x^2)), 1e-12), over the last dimension. Base of two dialects' ops."""

    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x)"

    def verify_(self) -> None:
        if len(shape_of(self.x)) < 2:
            raise VerifyException(f"l2_normalize works on rows, found {shape_of(self.x)}")


def check_full_attention(name: str, q: Shape, k: Shape, v: Shape, result: Shape) -> None:
    """Shapes of attention in which every query sees every key."""
    if len(q) != 3 or len(k) != 3 or k != v or q[2] != k[2] or q[1] % k[1] or k[0] < 1:
        raise VerifyException(f"{name} takes q [n, H, hd], k and v [m, G, hd] with m fixed, found {q}, {k}, {v}")
    if result != q:
        raise VerifyException(f"{name} gives {q}, found {result}")


@irdl_op_definition
class FullAttentionOp(IRDLOperation):
    """Attention of q [n, H, hd] over k, v [m, G, hd]: every query sees every key, and nothing is kept.

    Head h reads head h // (H / G); scores are softcap(scale * q.k).
    """

    name = "slm.full_attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    scale = prop_def(FloatAttr[Float64Type])
    softcap = opt_prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$q `,` $k `,` $v `scale` $scale (`softcap` $softcap^)? attr-dict"
        " `:` type($q) `,` type($k) `,` type($v) `->` type($result)"
    )

    def verify_(self) -> None:
        check_full_attention("full_attention", *(shape_of(x) for x in (self.q, self.k, self.v, self.result)))


class ReplaceBase(IRDLOperation):
    """Row t of x [T, ..] becomes row places[t] of `rows` [n, ..] where that is 0 .. n-1. Base of two dialects' ops.

    places [T] i32 is written by the host: the number of the image row at each position, -1 where a token stays a token.
    """

    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    places = operand_def(TensorType)
    rows = operand_def(TensorType)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` $places `,` $rows attr-dict `:` type($x) `,` type($places) `,` type($rows)"

    def verify_(self) -> None:
        x, places, rows = shape_of(self.x), shape_of(self.places), shape_of(self.rows)
        if not x or self.places.type != TensorType(i32, x[:1]) or not rows or rows[0] < 1 or rows[1:] != x[1:]:
            raise VerifyException(f"replace takes x [T, ..], places [T] i32, rows [n, ..], found {x}, {places}, {rows}")


@irdl_op_definition
class PatchesOp(PatchesBase):
    name = "slm.patches"


@irdl_op_definition
class ConcatOp(ConcatBase):
    name = "slm.concat"


@irdl_op_definition
class L2NormalizeOp(L2NormalizeBase):
    name = "slm.l2_normalize"


@irdl_op_definition
class ReplaceOp(ReplaceBase):
    name = "slm.replace"
