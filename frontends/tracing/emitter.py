"""Makes slm operations with a location in the current block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    DictionaryAttr,
    FileLineColLoc,
    Float64Type,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    bf16,
    f16,
    f32,
    f64,
    i32,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from compiler.dialects import slm
from compiler.program import WeightStore
from frontends.configuration.declared import Weight
from frontends.configuration.values import Rotary
from frontends.language.source import Place

ELEMENT_TYPES: Mapping[str, Attribute] = {"f32": f32, "f16": f16, "bf16": bf16}
TOKENS = DYNAMIC_INDEX
"""The token count in a shape."""
BINARY_OPS = {"+": slm.AddOp, "-": slm.SubOp, "*": slm.MulOp, "/": slm.DivOp}


@dataclass(frozen=True)
class Tensor:
    """A value of the trace; the shape has TOKENS for the token count. Tokens are indices."""

    value: SSAValue
    shape: tuple[int, ...]
    is_index: bool = False


@dataclass(frozen=True)
class Positions:
    """The positions of the tokens plus a number, before they are looked up in a table."""

    offset: int = 0


@dataclass(frozen=True)
class Layer:
    """The member of a weight group whose body is being traced."""

    group: str
    index: int

    def pattern(self, path: str) -> str:
        """The path with `{i}` for the layer's index, if the weight belongs to the layer."""
        prefix = f"{self.group}.{self.index}."
        return f"{self.group}.{slm.LAYER}.{path[len(prefix) :]}" if path.startswith(prefix) else path


@dataclass(frozen=True)
class Expert:
    """The member of a weight group for which the element of a sum is being traced; `variable` is its index in the file."""

    path: str
    index: int
    variable: str

    def pattern(self, path: str) -> str:
        """The path with `{e}` for the member's index, if the weight belongs to the member."""
        prefix = f"{self.path}.{self.index}."
        return f"{self.path}.{slm.EXPERT}.{path[len(prefix) :]}" if path.startswith(prefix) else path


class Emitter:
    """Appends operations to `block`; `layer` is set inside a loop over a group, `expert` inside a sum over one."""

    def __init__(self, file_name: str, store: WeightStore, block: Block):
        self._file_name = file_name
        self._store = store
        self.block = block
        self.layer: Layer | None = None
        self.expert: Expert | None = None

    def locate(self, operation: Operation, place: Place) -> None:
        operation.location = FileLineColLoc(StringAttr(self._file_name), IntAttr(place.line), IntAttr(place.column))

    def located(self, operation: Operation, place: Place) -> Operation:
        self.locate(operation, place)
        self.block.add_op(operation)
        return operation

    def _tensor(
        self,
        op: type[Operation],
        place: Place,
        shape: tuple[int, ...],
        operands: tuple[Tensor, ...],
        properties: dict[str, Attribute],
    ) -> Tensor:
        operation = op.create(
            operands=[operand.value for operand in operands],
            result_types=[TensorType(f32, shape)],
            properties=properties,
        )
        return Tensor(self.located(operation, place).results[0], shape)

    def _weight(self, weight: Weight, part: str = "weight") -> slm.WeightAttr:
        name = weight.stored_name(part)
        key = self.expert.pattern(name) if self.expert else name
        key = self.layer.pattern(key) if self.layer else key
        element = ELEMENT_TYPES[self._store.storage_dtype(name)]
        return slm.WeightAttr(StringAttr(key), TensorType(element, self._store.shape(name)))

    def embedding(self, place: Place, tokens: Tensor, weight: Weight) -> Tensor:
        shape = (*tokens.shape, *weight.inputs)
        return self._tensor(slm.EmbeddingOp, place, shape, (tokens,), {"weight": self._weight(weight)})

    def linear(self, place: Place, x: Tensor, weight: Weight) -> Tensor:
        properties: dict[str, Attribute] = {"weight": self._weight(weight)}
        if weight.bias:
            properties["bias"] = self._weight(weight, "bias")
        return self._tensor(slm.LinearOp, place, (x.shape[0], *weight.outputs), (x,), properties)

    def norm(self, place: Place, x: Tensor, weight: Weight) -> Tensor:
        """rms_norm or layer_norm over the weight's outputs; the dimensions `per` before them have weights of their own."""
        properties: dict[str, Attribute] = {
            "weight": self._weight(weight),
            "eps": _float(weight.eps),
            "axes": IntegerAttr(len(weight.outputs), i64),
        }
        if weight.per:
            properties["per"] = IntegerAttr(len(weight.per), i64)
        if weight.kind == "rms_norm":
            properties["offset"] = _float(weight.offset)
            return self._tensor(slm.RmsNormOp, place, x.shape, (x,), properties)
        if weight.bias:
            properties["bias"] = self._weight(weight, "bias")
        return self._tensor(slm.LayerNormOp, place, x.shape, (x,), properties)

    def positions(self, place: Place, positions: Positions) -> Tensor:
        operation = slm.PositionsOp.create(
            result_types=[TensorType(i32, [TOKENS])], properties={"offset": IntegerAttr(positions.offset, i64)}
        )
        return Tensor(self.located(operation, place).results[0], (TOKENS,), is_index=True)

    def sinusoid(self, place: Place, positions: Positions, columns: int) -> Tensor:
        """Raises VerifyException for a number of columns that has no sinusoid."""
        slm.check_sinusoid(columns)
        rows = self.positions(place, positions)
        return self._tensor(slm.SinusoidOp, place, (TOKENS, columns), (rows,), {})

    def rope(self, place: Place, x: Tensor, rotary: Rotary) -> Tensor:
        return self._tensor(slm.RopeOp, place, x.shape, (x,), {"rotary": rotary_attribute(rotary)})

    def attention(
        self,
        place: Place,
        qkv: tuple[Tensor, Tensor, Tensor],
        number: int,
        scale: float,
        window: int | None,
        softcap: float | None,
    ) -> Tensor:
        properties: dict[str, Attribute] = {"scale": _float(scale), "state": self._state("attention", number)}
        if window is not None:
            properties["window"] = IntegerAttr(window, i64)
        if softcap is not None:
            properties["softcap"] = _float(softcap)
        return self._tensor(slm.AttentionOp, place, qkv[0].shape, qkv, properties)

    def _state(self, kind: str, number: int) -> StringAttr:
        """The name of a state; `number` counts those of the layer (or of the model outside of layers)."""
        owner = f"{self.layer.group}.{slm.LAYER}." if self.layer else ""
        return StringAttr(f"{owner}{kind}.{number}")

    def causal_conv(self, place: Place, x: Tensor, weight: Weight, number: int) -> Tensor:
        properties: dict[str, Attribute] = {"weight": self._weight(weight), "state": self._state("conv", number)}
        if weight.bias:
            properties["bias"] = self._weight(weight, "bias")
        return self._tensor(slm.CausalConvOp, place, x.shape, (x,), properties)

    def selective_scan(self, place: Place, operands: tuple[Tensor, ...], number: int) -> Tensor:
        """Operands u, dt, A, B, C."""
        properties: dict[str, Attribute] = {"state": self._state("scan", number)}
        return self._tensor(slm.SelectiveScanOp, place, operands[0].shape, operands, properties)

    def full_attention(
        self, place: Place, qkv: tuple[Tensor, Tensor, Tensor], scale: float, softcap: float | None
    ) -> Tensor:
        properties: dict[str, Attribute] = {"scale": _float(scale)}
        if softcap is not None:
            properties["softcap"] = _float(softcap)
        return self._tensor(slm.FullAttentionOp, place, qkv[0].shape, qkv, properties)

    def patches(self, place: Place, image: Tensor, size: int) -> Tensor:
        """Raises VerifyException if the image is smaller than a patch."""
        shape = slm.patches_shape(image.shape, size)
        return self._tensor(slm.PatchesOp, place, shape, (image,), {"size": IntegerAttr(size, i64)})

    def concat(self, place: Place, a: Tensor, b: Tensor) -> Tensor:
        """Raises VerifyException if the rows differ or are those of tokens."""
        return self._tensor(slm.ConcatOp, place, slm.concat_shape(a.shape, b.shape), (a, b), {})

    def l2_normalize(self, place: Place, x: Tensor) -> Tensor:
        return self._tensor(slm.L2NormalizeOp, place, x.shape, (x,), {})

    def replace(self, place: Place, x: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        return self._tensor(slm.ReplaceOp, place, x.shape, (x, mask, rows), {})

    def activation(self, place: Place, kind: str, x: Tensor) -> Tensor:
        return self._tensor(slm.ActivationOp, place, x.shape, (x,), {"kind": StringAttr(kind)})

    def softmax(self, place: Place, x: Tensor) -> Tensor:
        return self._tensor(slm.SoftmaxOp, place, x.shape, (x,), {})

    def reduce_sum(self, place: Place, x: Tensor) -> Tensor:
        return self._tensor(slm.ReduceSumOp, place, (*x.shape[:-1], 1), (x,), {})

    def top_k(self, place: Place, x: Tensor, count: int) -> Tensor:
        """The kept values; the indices are the second result of their operation."""
        types = [x.value.type, TensorType(i32, (*x.shape[:-1], count))]
        properties: dict[str, Attribute] = {"count": IntegerAttr(count, i64)}
        operation = slm.TopKOp.create(operands=[x.value], result_types=types, properties=properties)
        return Tensor(self.located(operation, place).results[0], x.shape)

    def column(self, place: Place, x: Tensor, index: int | None) -> Tensor:
        """Without an index that of the expert."""
        properties: dict[str, Attribute] = {} if index is None else {"index": IntegerAttr(index, i64)}
        return self._tensor(slm.ColumnOp, place, (*x.shape[:-1], 1), (x,), properties)

    def constant(self, place: Place, value: float) -> Tensor:
        return self._tensor(slm.ConstantOp, place, (), (), {"value": _float(value)})

    def tensor(self, place: Place, weight: Weight) -> Tensor:
        return self._tensor(slm.TensorOp, place, weight.outputs, (), {"weight": self._weight(weight, "")})

    def binary(self, place: Place, operator: str, left: Tensor, right: Tensor) -> Tensor:
        """Raises VerifyException if the shapes do not go together."""
        shape = slm.broadcast(left.shape, right.shape)
        return self._tensor(BINARY_OPS[operator], place, shape, (left, right), {})


def _float(value: float) -> FloatAttr[Float64Type]:
    return FloatAttr(float(value), f64)


def rotary_attribute(rotary: Rotary) -> slm.RotaryAttr:
    """Numbers of the scaling record are f64, lists are arrays of f64, the kind is a string."""
    record = {key: _record_value(value) for key, value in rotary.scaling.items()}
    return slm.RotaryAttr(
        IntAttr(rotary.dim),
        _float(rotary.theta),
        IntAttr(rotary.max_positions),
        IntAttr(rotary.original_positions),
        DictionaryAttr(record),
    )


def _record_value(value: Any) -> Attribute:
    if isinstance(value, str):
        return StringAttr(value)
    if isinstance(value, list):
        return ArrayAttr([_float(item) for item in value])
    return _float(value)
