"""slmq: the same model with exact numbers: every value has an element type, every rounding is an op.

docs/numerics.md section 8 gives one formula per op. A function of this level is one step: it processes the
T tokens of a chunk at positions pos .. pos+T-1, and attention owns its key-value state between steps.
"""

from __future__ import annotations

from math import prod
from typing import ClassVar

from xdsl.dialects.builtin import Float64Type, FloatAttr, IntegerAttr, StringAttr, TensorType, f32, i8, i32, i64
from xdsl.ir import Dialect, Operation
from xdsl.irdl import (
    AnyAttr,
    AttrSizedOperandSegments,
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from compiler.dialects.slm import ACTIVATIONS, BinaryBase, RotaryAttr, Shape, WeightAttr, shape_of

WEIGHT_FORMATS = ("f32", "bf16", "i8")


def element_of(value_type: object) -> str:
    """`f32`, `bf16`, `i8`, `i32`: the element type of a tensor type."""
    if not isinstance(value_type, TensorType):
        raise VerifyException(f"expected a tensor, found {value_type}")
    return str(value_type.element_type)


@irdl_op_definition
class EmbedOp(IRDLOperation):
    """Row tokens[t] of the table, stored as `format` (f32 or bf16), converted to f32."""

    name = "slmq.embed"
    tokens = operand_def(TensorType)
    weight = prop_def(WeightAttr)
    format = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$tokens `,` qualified($weight) `as` $format attr-dict `:` type($tokens) `->` type($result)"

    def verify_(self) -> None:
        if self.format.data not in ("f32", "bf16"):
            raise VerifyException(f'an embedding table is f32 or bf16, found "{self.format.data}"')
        if shape_of(self.result) != (*shape_of(self.tokens), *self.weight.shape[1:]):
            raise VerifyException(f"embed gives {shape_of(self.result)} from a table of {self.weight.shape}")


@irdl_op_definition
class RmsNormOp(IRDLOperation):
    """(x / sqrt(sum_fp(x*x) * (1/d) + eps)) * (w + offset) over the last `axes` dimensions, all f32."""

    name = "slmq.rms_norm"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    weight = prop_def(WeightAttr)
    eps = prop_def(FloatAttr[Float64Type])
    offset = prop_def(FloatAttr[Float64Type])
    axes = prop_def(IntegerAttr[i64])
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($weight) `eps` $eps `offset` $offset `axes` $axes attr-dict `:` type($x)"

    def verify_(self) -> None:
        axes, shape = self.axes.value.data, shape_of(self.x)
        if not 1 <= axes < len(shape) or prod(self.weight.shape) != prod(shape[-axes:]):
            raise VerifyException(f"rms_norm over {axes} dimensions of {shape} with a weight of {self.weight.shape}")
        if element_of(self.x.type) != "f32":
            raise VerifyException(f"rms_norm works on f32, found {self.x.type}")


@irdl_op_definition
class QuantizeOp(IRDLOperation):
    """Per row of the last `axes` dimensions: s = amax(x) * f32(1/127), q = i8(x / s)."""

    name = "slmq.quantize"
    x = operand_def(TensorType)
    axes = prop_def(IntegerAttr[i64])
    q = result_def(TensorType)
    scale = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `axes` $axes attr-dict `:` type($x) `->` type($q) `,` type($scale)"

    def verify_(self) -> None:
        axes, shape = self.axes.value.data, shape_of(self.x)
        kept = shape[: len(shape) - axes]
        if self.x.type != TensorType(f32, shape) or self.q.type != TensorType(i8, shape):
            raise VerifyException(
                f"quantize takes f32 and gives i8 of the same shape, found {self.x.type}, {self.q.type}"
            )
        if self.scale.type != TensorType(f32, (*kept, 1)):
            raise VerifyException(f"the scale of {shape} over {axes} dimensions is f32 {Shape((*kept, 1))}")


@irdl_op_definition
class RoundOp(IRDLOperation):
    """f32 rounded to bf16, to nearest even."""

    name = "slmq.round"
    x = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        if (element_of(self.x.type), element_of(self.result.type)) != ("f32", "bf16"):
            raise VerifyException(f"round goes from f32 to bf16, found {self.x.type} -> {self.result.type}")
        if shape_of(self.x) != shape_of(self.result):
            raise VerifyException("round keeps the shape")


@irdl_op_definition
class MatmulOp(IRDLOperation):
    """x times the transposed weight (stored as `format`), + bias. Float: sum_fp. i8: (f32(p) * sw[n]) * scale[t]."""

    name = "slmq.matmul"
    x = operand_def(TensorType)
    scale = opt_operand_def(TensorType)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    format = prop_def(StringAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$x (`scale` $scale^)? `,` qualified($weight) `as` $format (`bias` qualified($bias)^)? attr-dict"
        " `:` type($x) (`scale` type($scale)^)? `->` type($result)"
    )

    @property
    def rows(self) -> int:
        return prod(shape_of(self.result)[1:])

    @property
    def columns(self) -> int:
        return prod(shape_of(self.x)[1:])

    def verify_(self) -> None:
        if self.format.data not in WEIGHT_FORMATS or element_of(self.x.type) != self.format.data:
            raise VerifyException(f'a weight as "{self.format.data}" does not go with {self.x.type}')
        if prod(self.weight.shape) != self.rows * self.columns:
            raise VerifyException(f"matmul {self.columns} -> {self.rows} has a weight of {self.weight.shape}")
        if (self.format.data == "i8") != (self.scale is not None):
            raise VerifyException("an i8 matmul, and only that, takes the scale of its input")
        if element_of(self.result.type) != "f32":
            raise VerifyException(f"matmul gives f32, found {self.result.type}")


@irdl_op_definition
class RopeOp(IRDLOperation):
    """Rotates x [T, heads, head_dim] by the tables of `rotary`."""

    name = "slmq.rope"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    rotary = prop_def(RotaryAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($rotary) attr-dict `:` type($x)"

    def verify_(self) -> None:
        shape = shape_of(self.x)
        if len(shape) != 3 or self.rotary.dim.data > shape[2] or element_of(self.x.type) != "f32":
            raise VerifyException(f"rotary of {self.rotary.dim.data} dimensions on {self.x.type}")


@irdl_op_definition
class ScaleOp(IRDLOperation):
    """x times a constant, rounded to f32 once."""

    name = "slmq.scale"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    factor = prop_def(FloatAttr[Float64Type])
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `by` $factor attr-dict `:` type($x)"


@irdl_op_definition
class OffsetOp(IRDLOperation):
    """x plus a constant, which is rounded to f32 once."""

    name = "slmq.offset"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    constant = prop_def(FloatAttr[Float64Type])
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `by` $constant attr-dict `:` type($x)"


@irdl_op_definition
class ActivationOp(IRDLOperation):
    """One of slm.ACTIVATIONS by the formula of docs/numerics.md, f32."""

    name = "slmq.activation"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    kind = prop_def(StringAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$kind $x attr-dict `:` type($x)"

    def verify_(self) -> None:
        if self.kind.data not in ACTIVATIONS:
            raise VerifyException(f'unknown activation "{self.kind.data}" (known: {", ".join(ACTIVATIONS)})')


@irdl_op_definition
class AddOp(BinaryBase):
    name = "slmq.add"


@irdl_op_definition
class SubOp(BinaryBase):
    name = "slmq.sub"


@irdl_op_definition
class MulOp(BinaryBase):
    name = "slmq.mul"


@irdl_op_definition
class DivOp(BinaryBase):
    name = "slmq.div"


BINARY_FUNCTIONS: dict[type[Operation], str] = {AddOp: "add", SubOp: "sub", MulOp: "mul", DivOp: "div"}


@irdl_op_definition
class AttentionOp(IRDLOperation):
    """Appends k, v to the state, then attends from q (already scaled): docs/numerics.md section 9.

    q [T, H, hd] and the probabilities are f32 or bf16; k, v [T, G, hd] have the state's element type; int8
    ones come with a scale per token and head, [T, G, 1].
    """

    name = "slmq.attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    k_scale = opt_operand_def(TensorType)
    v_scale = opt_operand_def(TensorType)
    state = prop_def(StringAttr)
    window = opt_prop_def(IntegerAttr[i64])
    softcap = opt_prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = (
        "$q `,` $k `,` $v (`scales` $k_scale^ `,` $v_scale)? `state` $state (`window` $window^)? (`softcap` $softcap^)?"
        " attr-dict `:` type($q) `,` type($k) `,` type($v)"
        " (`scales` type($k_scale)^ `,` type($v_scale))? `->` type($result)"
    )

    def verify_(self) -> None:
        q, k, v = shape_of(self.q), shape_of(self.k), shape_of(self.v)
        if len(q) != 3 or k != v or q[2] != k[2] or q[1] % k[1]:
            raise VerifyException(f"attention takes q [T, H, hd], k and v [T, G, hd], found {q}, {k}, {v}")
        pair = (element_of(self.q.type), element_of(self.k.type))
        if pair not in (("f32", "f32"), ("bf16", "bf16"), ("bf16", "i8")) or self.k.type != self.v.type:
            raise VerifyException(f"attention of {self.q.type} over {self.k.type} and {self.v.type} is not defined")
        scaled = self.k_scale is not None and self.v_scale is not None
        if (pair[1] == "i8") != scaled:
            raise VerifyException("int8 keys and values, and only those, come with scales")
        if element_of(self.result.type) != "f32" or shape_of(self.result) != q:
            raise VerifyException("attention gives f32 of the shape of q")


@irdl_op_definition
class SelectRowsOp(IRDLOperation):
    """The rows whose logits are wanted: the last row of the prompt, or all rows if the host asked for them."""

    name = "slmq.select_rows"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x attr-dict `:` type($x)"


@irdl_op_definition
class SampleOp(IRDLOperation):
    """The next token from the last row of the logits [rows, V]: docs/numerics.md section 10."""

    name = "slmq.sample"
    logits = operand_def(TensorType)
    token = result_def(TensorType)
    assembly_format = "$logits attr-dict `:` type($logits) `->` type($token)"

    def verify_(self) -> None:
        if len(shape_of(self.logits)) != 2 or self.token.type != TensorType(i32, [1]):
            raise VerifyException(f"sample takes logits [rows, V] and gives tensor<1xi32>, found {self.logits.type}")


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a strips region."""

    name = "slmq.yield"
    values = var_operand_def(AnyAttr())
    traits = traits_def(IsTerminator())
    assembly_format = "$values attr-dict `:` type($values)"


@irdl_op_definition
class StripsOp(IRDLOperation):
    """A fusion group: its matmuls and the elementwise ops and sampler behind them are computed by strips of columns.

    The values are those of the ops inlined; only the order of work differs. Values from outside may be used inside.
    """

    name = "slmq.strips"
    columns = prop_def(IntegerAttr[i64])
    body = region_def("single_block")
    outs = var_result_def(AnyAttr())
    assembly_format = "$columns $body attr-dict `:` type($outs)"

    def verify_(self) -> None:
        last = self.body.block.last_op
        if not isinstance(last, YieldOp) or [v.type for v in last.values] != [out.type for out in self.outs]:
            raise VerifyException("strips yields the values it results in")
        for op in self.body.block.ops:
            if isinstance(op, MatmulOp) and op.rows != self.columns.value.data:
                raise VerifyException(f"strips over {self.columns.value.data} columns holds a matmul of {op.rows}")


SLMQ_OPS: list[type[Operation]] = [
    EmbedOp, RmsNormOp, QuantizeOp, RoundOp, MatmulOp, RopeOp, ScaleOp, OffsetOp, ActivationOp, AddOp, SubOp, MulOp, DivOp,
    AttentionOp, SelectRowsOp, SampleOp, StripsOp, YieldOp,
]  # fmt: skip
Slmq = Dialect("slmq", SLMQ_OPS, [])
