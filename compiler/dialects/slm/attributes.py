"""Shapes, weight names and rotary records: what the operations of slm and slmq are described by."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    DictionaryAttr,
    FloatAttr,
    IntAttr,
    StringAttr,
    TensorType,
    f64,
)
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue
from xdsl.irdl import (
    irdl_attr_definition,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu", "relu", "sigmoid", "tanh", "softplus")
LAYER, EXPERT = "{i}", "{e}"


class Shape(tuple[int, ...]):
    """A tensor's dimensions; the token count is DYNAMIC_INDEX and prints as `?`."""

    def __str__(self) -> str:
        return "[" + ", ".join("?" if size == DYNAMIC_INDEX else str(size) for size in self) + "]"


def shape_of(value: SSAValue) -> Shape:
    """The shape of a tensor value."""
    if not isinstance(value.type, TensorType):
        raise VerifyException(f"expected a tensor, found {value.type}")
    return Shape(value.type.get_shape())


def row_shape(value: SSAValue) -> Shape:
    """The dimensions of one token: all but the token count. A value without a token count belongs to every token."""
    shape = shape_of(value)
    return Shape(shape[1:]) if has_tokens(value) else shape


def has_tokens(value: SSAValue) -> bool:
    """Whether the value has a row for each token; scalars and the values of weights have none."""
    return shape_of(value)[:1] == (DYNAMIC_INDEX,)


def stored_name(key: str, layer: int | None, expert: int | None) -> str:
    """The key with the numbers of a layer and an expert filled in."""
    for placeholder, number in ((LAYER, layer), (EXPERT, expert)):
        if number is not None:
            key = key.replace(placeholder, str(number))
    return key


@irdl_attr_definition
class WeightAttr(ParametrizedAttribute):
    """`#slm.weight<"name", tensor<NxKxbf16>>`: a tensor of the WeightStore; `{i}` in the name is the layer, `{e}` the expert."""

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

    def at(self, layer: int | None, expert: int | None) -> str:
        """The WeightStore name in one layer and expert; None outside of layers, of mixtures."""
        return stored_name(self.key.data, layer, expert)


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
