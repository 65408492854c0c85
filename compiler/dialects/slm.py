"""slm: transformer operations on float tensors; what a checkpoint's architecture says, with nothing decided yet.

Tensors have the token count T as a dynamic first dimension. Matrices are stored [out, in]. Weights are never in the IR:
`#slm.weight<"layers.{i}.q.weight", tensor<64x72xbf16>>` names one, `{i}` being the index of the enclosing `slm.layers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    DenseArrayBase,
    DictionaryAttr,
    Float64Type,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    f64,
    i64,
)
from xdsl.ir import Attribute, Block, Dialect, Operation, ParametrizedAttribute, Region, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    VarConstraint,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "sigmoid", "tanh")
LAYER = "{i}"


class Shape(tuple[int, ...]):
    """A tensor's dimensions; the token count is DYNAMIC_INDEX and prints as `?`."""

    def __str__(self) -> str:
        return "[" + ", ".join("?" if size == DYNAMIC_INDEX else str(size) for size in self) + "]"


def shape_of(value: SSAValue) -> Shape:
    """The shape of a tensor value."""
    if not isinstance(value.type, TensorType):
        raise VerifyException(f"expected a tensor, found {value.type}")
    return Shape(value.type.get_shape())


@irdl_attr_definition
class WeightAttr(ParametrizedAttribute):
    """`#slm.weight<"name", tensor<NxKxbf16>>`: a tensor of the WeightStore; `{i}` in the name is the layer index."""

    name = "slm.weight"
    key: StringAttr
    type: TensorType[Attribute]

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            key = StringAttr(parser.parse_str_literal())
            parser.parse_punctuation(",")
            return key, parser.parse_type()

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f'"{self.key.data}", ')
            printer.print_attribute(self.type)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.get_shape()

    def at_layer(self, layer: int) -> str:
        """The WeightStore name for one layer."""
        return self.key.data.replace(LAYER, str(layer))


@irdl_attr_definition
class RotaryAttr(ParametrizedAttribute):
    """Rotary embedding: rotates the first `dim` elements of each head; `scaling` is the config record."""

    name = "slm.rotary"
    dim: IntAttr
    theta: FloatAttr
    max_positions: IntAttr
    original_positions: IntAttr
    scaling: DictionaryAttr

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            dim = parser.parse_integer()
            parser.parse_punctuation(",")
            theta = parser.parse_float()
            parser.parse_punctuation(",")
            longest = parser.parse_integer()
            parser.parse_punctuation(",")
            original = parser.parse_integer()
            parser.parse_punctuation(",")
            scaling = parser.parse_attribute()
        if not isinstance(scaling, DictionaryAttr):
            parser.raise_error("expected the scaling record, a dictionary")
        return IntAttr(dim), FloatAttr(theta, f64), IntAttr(longest), IntAttr(original), scaling

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            numbers = (self.dim.data, float(self.theta.value.data), self.max_positions.data)
            printer.print_string(", ".join(repr(n) for n in numbers) + f", {self.original_positions.data}, ")
            printer.print_attribute(self.scaling)

    def verify(self) -> None:
        if self.dim.data <= 0 or self.dim.data % 2:
            raise VerifyException(f"a rotary dimension is positive and even, found {self.dim.data}")


@irdl_op_definition
class EmbeddingOp(IRDLOperation):
    """Row `tokens[t]` of the table."""

    name = "slm.embedding"
    tokens = operand_def(TensorType)
    weight = prop_def(WeightAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$tokens `,` qualified($weight) attr-dict `:` type($tokens) `->` type($result)"

    def verify_(self) -> None:
        expected = Shape((*shape_of(self.tokens), *self.weight.shape[1:]))
        if shape_of(self.result) != expected:
            raise VerifyException(f"embedding gives {expected}, found {shape_of(self.result)}")


@irdl_op_definition
class LinearOp(IRDLOperation):
    """y[.., n] = sum_k x[.., k] w[n, k] + b[n]; input and output dimensions after the first are flattened."""

    name = "slm.linear"
    x = operand_def(TensorType)
    weight = prop_def(WeightAttr)
    bias = opt_prop_def(WeightAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($weight) (`bias` qualified($bias)^)? attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        rows, columns = prod(shape_of(self.result)[1:]), prod(shape_of(self.x)[1:])
        if prod(self.weight.shape) != rows * columns:
            raise VerifyException(f"linear {columns} -> {rows} has a weight of shape {self.weight.shape}")
        if self.bias is not None and prod(self.bias.shape) != rows:
            raise VerifyException(f"linear {columns} -> {rows} has a bias of shape {self.bias.shape}")


@irdl_op_definition
class RmsNormOp(IRDLOperation):
    """x / sqrt(mean(x^2) + eps) * (w + offset), mean over the last `axes` dimensions."""

    name = "slm.rms_norm"
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
        axes = self.axes.value.data
        shape = shape_of(self.x)
        if not 1 <= axes < len(shape):
            raise VerifyException(f"rms_norm over {axes} dimensions of {shape}")
        if prod(self.weight.shape) != prod(shape[-axes:]):
            raise VerifyException(f"rms_norm of {shape} has a weight of shape {self.weight.shape}")


@irdl_op_definition
class RopeOp(IRDLOperation):
    """Rotates x [T, heads, head_dim] by position: pairs (x_j, x_{j + dim/2})."""

    name = "slm.rope"
    T: ClassVar = VarConstraint("T", AnyAttr())
    x = operand_def(T)
    rotary = prop_def(RotaryAttr)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$x `,` qualified($rotary) attr-dict `:` type($x)"

    def verify_(self) -> None:
        shape = shape_of(self.x)
        if len(shape) != 3 or self.rotary.dim.data > shape[2]:
            raise VerifyException(f"rotary of {self.rotary.dim.data} dimensions on {shape}")


@irdl_op_definition
class AttentionOp(IRDLOperation):
    """Causal attention of q [T, H, hd] over k, v [T, G, hd]; head h reads head h // (H / G); owns the KV state `state`.

    With a window w, a query sees the w keys that end with its own. Scores are softcap(scale * q.k).
    """

    name = "slm.attention"
    q = operand_def(TensorType)
    k = operand_def(TensorType)
    v = operand_def(TensorType)
    scale = prop_def(FloatAttr[Float64Type])
    state = prop_def(StringAttr)
    window = opt_prop_def(IntegerAttr[i64])
    softcap = opt_prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "$q `,` $k `,` $v `state` $state `scale` $scale (`window` $window^)? (`softcap` $softcap^)? attr-dict"
        " `:` type($q) `,` type($k) `,` type($v) `->` type($result)"
    )

    def verify_(self) -> None:
        q, k, v = shape_of(self.q), shape_of(self.k), shape_of(self.v)
        if len(q) != 3 or k != v or q[2] != k[2] or q[1] % k[1]:
            raise VerifyException(f"attention takes q [T, H, hd], k and v [T, G, hd], found {q}, {k}, {v}")
        if self.window is not None and self.window.value.data < 1:
            raise VerifyException(f"a window is at least 1, found {self.window.value.data}")


@irdl_op_definition
class ActivationOp(IRDLOperation):
    """An elementwise function of ACTIVATIONS."""

    name = "slm.activation"
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
class ConstantOp(IRDLOperation):
    """A scalar, for broadcasting."""

    name = "slm.constant"
    value = prop_def(FloatAttr[Float64Type])
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$value attr-dict `:` type($result)"


class BinaryBase(IRDLOperation):
    """Elementwise with tail broadcast: shapes equal, or one the tail of the other; size 1 stretches. Base of two dialects' ops."""

    lhs = operand_def(TensorType)
    rhs = operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)"

    def verify_(self) -> None:
        lhs, rhs, found = (shape_of(value) for value in (self.lhs, self.rhs, self.result))
        if broadcast(lhs, rhs) != found:
            raise VerifyException(f"{self.name} of {lhs} and {rhs} is {broadcast(lhs, rhs)}, found {found}")


def broadcast(lhs: tuple[int, ...], rhs: tuple[int, ...]) -> Shape:
    """The shape of an elementwise result. Raises VerifyException if the shapes do not go together."""
    long, short = (lhs, rhs) if len(lhs) >= len(rhs) else (rhs, lhs)
    out = list(long)
    for position in range(1, len(short) + 1):
        a, b = long[-position], short[-position]
        if a != b and 1 not in (a, b):
            raise VerifyException(f"shapes {Shape(lhs)} and {Shape(rhs)} do not go together")
        out[-position] = b if a == 1 else a
    return Shape(out)


@irdl_op_definition
class AddOp(BinaryBase):
    name = "slm.add"


@irdl_op_definition
class SubOp(BinaryBase):
    name = "slm.sub"


@irdl_op_definition
class MulOp(BinaryBase):
    name = "slm.mul"


@irdl_op_definition
class DivOp(BinaryBase):
    name = "slm.div"


BinaryOp = AddOp | SubOp | MulOp | DivOp


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends a region and hands out its values."""

    name = "slm.yield"
    values = var_operand_def(AnyAttr())
    traits = traits_def(IsTerminator())
    assembly_format = "$values attr-dict `:` type($values)"


@irdl_op_definition
class LayersOp(IRDLOperation):
    """A rolled stack of layers: layer i runs region order[i] on the values, `{i}` in weight and state names being i.

    The layers form the group `group` of the architecture; there is one region per distinct kind of layer.
    """

    name = "slm.layers"
    values = var_operand_def(AnyAttr())
    group = prop_def(StringAttr)
    order = prop_def(DenseArrayBase[i64])
    kinds = var_region_def()
    outs = var_result_def(AnyAttr())
    assembly_format = "$group $order `(` $values `)` $kinds attr-dict `:` type($values) `->` type($outs)"

    def __init__(self, group: str, order: Sequence[int], values: Sequence[SSAValue], kinds: Sequence[Region]):
        super().__init__(
            operands=[values],
            result_types=[[value.type for value in values]],
            properties={"group": StringAttr(group), "order": DenseArrayBase.from_list(i64, order)},
            regions=[kinds],
        )

    @property
    def layer_kinds(self) -> tuple[int, ...]:
        """The region index of each layer."""
        return tuple(int(kind) for kind in self.order.get_values())

    def body(self, kind: int) -> Block:
        return self.kinds[kind].block

    def verify_(self) -> None:
        types = [value.type for value in self.values]
        if [out.type for out in self.outs] != types:
            raise VerifyException("layers keep the types of their values")
        if not self.layer_kinds or set(self.layer_kinds) != set(range(len(self.kinds))):
            raise VerifyException(f"layer kinds {sorted(set(self.layer_kinds))} and {len(self.kinds)} regions differ")
        for region in self.kinds:
            last = region.block.last_op
            if [arg.type for arg in region.block.args] != types:
                raise VerifyException("a layer region takes the values of the layers op")
            if not isinstance(last, YieldOp) or [value.type for value in last.values] != types:
                raise VerifyException("a layer region yields the values of the layers op")


SLM_OPS: list[type[Operation]] = [
    EmbeddingOp, LinearOp, RmsNormOp, RopeOp, AttentionOp, ActivationOp, ConstantOp,
    AddOp, SubOp, MulOp, DivOp, LayersOp, YieldOp,
]  # fmt: skip
Slm = Dialect("slm", SLM_OPS, [WeightAttr, RotaryAttr])
