"""Symbolic shapes of weight calls and operations."""

from __future__ import annotations

from collections.abc import Mapping

from frontends.errors import FrontendError, shape_text
from frontends.language.catalogue import ACTIVATIONS
from frontends.language.checks.abstract import (
    Abstract,
    Fact,
    MaybeNull,
    NullValue,
    Scalar,
    Shape,
    T,
    TensorValue,
    WeightValue,
    equality,
    shape_of,
    without_null,
)
from frontends.language.checks.config import combine
from frontends.language.polynomials import ONE, Polynomial
from frontends.language.source import Place, SourceText

SAME_SHAPE = ("softcap", *ACTIVATIONS)
LAST_DIMENSION = ("softmax", "l2_normalize", "top_k", "sum")
NULLABLE = ("window", "scale", "softcap", "cap")
NUMBERS = ("causal", "window", "scale", "softcap", "cap", "count", "dim", "patch", "value")
MIXING = "only attention, causal_conv and selective_scan may mix tokens"
Arguments = Mapping[str, Abstract]


class OperationChecker:
    """Result shapes; raises FrontendError at the place of the call."""

    def __init__(self, source: SourceText):
        self._source = source

    def error(self, place: Place, message: str, hint: str | None = None) -> FrontendError:
        return self._source.error(place, message, hint)

    def tensor(self, place: Place, what: str, value: Abstract) -> TensorValue:
        """A float tensor."""
        if isinstance(value, MaybeNull) and isinstance(value.value, TensorValue):
            raise self.error(place, f"{what} takes a tensor, which may be null here")
        if not isinstance(value, TensorValue):
            raise self.error(place, f"{what} takes a tensor, found {shape_of(value)}")
        if value.is_index:
            raise self.error(place, f"{what} takes numbers, found token indices", "look them up in an embedding first")
        return value

    def row(self, place: Place, what: str, value: Abstract) -> TensorValue:
        """A float tensor with a last dimension that is not the tokens."""
        x = self.tensor(place, what, value)
        if x.shape[-1:] in ((), (T,)):
            raise self.error(place, f"{what} over the last dimension of {shape_of(x)}", MIXING if x.shape else None)
        return x

    def weight(self, place: Place, weight: WeightValue, value: Abstract) -> TensorValue:
        """The result of calling a weight."""
        what = f'"{weight.name}"'
        if weight.kind == "tensor":
            raise self.error(place, f"{what} is a tensor: it is used as a value, not called")
        if weight.kind == "embedding":
            if not isinstance(value, TensorValue) or not value.is_index:
                raise self.error(place, f"{what} takes token indices, found {shape_of(value)}")
            return TensorValue((*value.shape, *weight.inputs))
        x = self.tensor(place, what, value)
        takes = weight.inputs if weight.kind == "linear" else weight.per + weight.outputs
        if weight.kind == "causal_conv":
            if x.shape != (T, *takes):
                raise self.error(place, f"{what} takes {shape_text((T, *takes))}, found {shape_of(x)}")
            return x
        if len(x.shape) < len(takes) or x.shape[len(x.shape) - len(takes) :] != takes:
            raise self.error(place, f"{what} takes {shape_text(('...', *takes))}, found {shape_of(x)}")
        if weight.kind == "linear":
            return TensorValue(x.shape[: len(x.shape) - len(takes)] + weight.outputs)
        return x

    def optional_weight(
        self, place: Place, weight: WeightValue, value: Abstract, result: TensorValue, facts: frozenset[Fact]
    ) -> TensorValue:
        """The result of `weight?(x)`: with and without the weight the shape must be the same."""
        if not isinstance(value, TensorValue) or value.shape == result.shape or weight.conditions <= facts:
            return result
        if len(weight.outputs) == len(weight.inputs) == 1:
            same = equality(str(weight.outputs[0]), str(weight.inputs[0]))
            if any(fact.condition == same and not fact.holds for fact in weight.conditions):
                return result
        message = f'"{weight.name}"?: {shape_of(value)} without it, {shape_of(result)} with it'
        raise self.error(place, message)

    def rotary(self, place: Place, name: str, value: Abstract) -> TensorValue:
        x = self.tensor(place, f'"{name}"', value)
        if len(x.shape) != 3:
            raise self.error(place, f'"{name}" rotates heads [T, H, hd], found {shape_of(x)}')
        return x

    def operation(self, place: Place, name: str, values: Arguments) -> Abstract:
        for key, value in values.items():
            self._check_number(place, name, key, value)
        if name in LAST_DIMENSION:
            x = self.row(place, name, values["p" if name == "top_k" else "x"])
            return TensorValue((*x.shape[:-1], ONE)) if name == "sum" else x
        if name in SAME_SHAPE:
            return self.tensor(place, name, values["x"])
        match name:
            case "sqrt":
                return Scalar()
            case "attention":
                return self._attention(place, values)
            case "concat":
                return self._concat(place, *(self.tensor(place, name, values[key]) for key in ("a", "b")))
            case "patches":
                return self._patches(place, values)
            case "sinusoid":
                return self._sinusoid(place, values)
            case "selective_scan":
                return self._selective_scan(place, values)
            case _:
                return self._replace(place, values)

    def _check_number(self, place: Place, name: str, key: str, value: Abstract) -> None:
        if key not in NUMBERS:
            return
        if key in NULLABLE and isinstance(value, NullValue | MaybeNull):
            return
        if not isinstance(value, Scalar):
            raise self.error(place, f"{name}: {key} must be a number, found {shape_of(value)}")

    def _attention(self, place: Place, values: Arguments) -> TensorValue:
        q, k, v = (self.tensor(place, "attention", values[key]) for key in ("q", "k", "v"))
        heads = all(len(tensor.shape) == 3 for tensor in (q, k, v))
        if not heads or k.shape != v.shape or q.shape[2] != k.shape[2]:
            found = ", ".join(shape_of(tensor) for tensor in (q, k, v))
            raise self.error(place, f"attention takes q [T, H, hd], k and v [S, G, hd], found {found}")
        return q

    def token_attention(self, place: Place, values: Arguments, is_causal: bool) -> None:
        """Over tokens, attention must be causal, or decoding token by token would be something else."""
        q, k = values["q"], values["k"]
        assert isinstance(q, TensorValue) and isinstance(k, TensorValue)
        over_tokens = T in (q.shape[0], k.shape[0])
        if over_tokens and (not is_causal or q.shape[0] != k.shape[0]):
            raise self.error(place, "attention over tokens must be causal, with queries and keys of the same tokens")

    def _concat(self, place: Place, a: TensorValue, b: TensorValue) -> TensorValue:
        if not a.shape or not b.shape or a.shape[1:] != b.shape[1:]:
            raise self.error(place, f"concat of shapes {shape_of(a)} and {shape_of(b)}")
        if T in (a.shape[0], b.shape[0]):
            raise self.error(place, "concat along the token dimension", MIXING)
        return TensorValue((self._dimension(place, a.shape[0].plus(b.shape[0])), *a.shape[1:]))

    def _dimension(self, place: Place, value: Polynomial | None) -> Polynomial:
        if value is None:
            raise self.error(place, "a dimension of the result is too complicated")
        return value

    def _patches(self, place: Place, values: Arguments) -> TensorValue:
        image, patch = self.tensor(place, "patches", values["image"]), values["patch"]
        size = patch.polynomial if isinstance(patch, Scalar) else None
        if len(image.shape) != 3 or size is None:
            raise self.error(place, f"patches takes an image [C, h, w] and a size, found {shape_of(image)}")
        channels, height, width = image.shape
        rows, columns = (self._dimension(place, combine("//", side, size)) for side in (height, width))
        return TensorValue((self._dimension(place, rows.times(columns)), channels, size, size))

    def _sinusoid(self, place: Place, values: Arguments) -> TensorValue:
        positions, dim = values["positions"], values["dim"]
        if not isinstance(positions, TensorValue) or len(positions.shape) != 1:
            raise self.error(place, f"sinusoid takes positions [T], found {shape_of(positions)}")
        size = dim.polynomial if isinstance(dim, Scalar) else None
        return TensorValue((*positions.shape, self._dimension(place, size)))

    def _selective_scan(self, place: Place, values: Arguments) -> TensorValue:
        u, dt, a, b, c = (self.tensor(place, "selective_scan", values[key]) for key in ("u", "dt", "A", "B", "C"))
        matrices = len(u.shape) == len(b.shape) == 2 and u.shape[0] == b.shape[0] == T
        if not matrices or u.shape != dt.shape or b.shape != c.shape or a.shape != (u.shape[1], b.shape[1]):
            found = ", ".join(shape_of(tensor) for tensor in (u, dt, a, b, c))
            raise self.error(place, f"selective_scan takes u, dt [T, m], A [m, N], B, C [T, N], found {found}")
        return u

    def _replace(self, place: Place, values: Arguments) -> TensorValue:
        """An optional mask is given where the input that it belongs to is given."""
        x, mask, rows = values["x"], without_null(values["mask"]), values["rows"]
        match x, mask, rows:
            case TensorValue(), TensorValue(), TensorValue() if (
                mask.shape == x.shape[:1] and rows.shape[1:] == x.shape[1:]
            ):
                return x
            case _:
                pass
        found = ", ".join(shape_of(value) for value in (x, mask, rows))
        raise self.error(place, f"replace takes x [T, d], mask [T], rows [n, d], found {found}")

    def arithmetic(self, place: Place, operator: str, left: Abstract, right: Abstract) -> Abstract:
        """Elementwise with tail broadcast; numbers combine to dimensions."""
        for value in (left, right):
            if isinstance(value, WeightValue):
                hint = "call it" if value.kind != "tensor" else None
                raise self.error(place, f'"{operator}" needs numbers or tensors, found {shape_of(value)}', hint)
            if not isinstance(value, Scalar | TensorValue):
                raise self.error(place, f'"{operator}" needs numbers or tensors, found {shape_of(value)}')
        if isinstance(left, Scalar) and isinstance(right, Scalar):
            return Scalar(combine(operator, left.polynomial, right.polynomial))
        if operator not in ("+", "-", "*", "/", "**"):
            raise self.error(place, f'"{operator}" needs numbers, found {shape_of(left)} and {shape_of(right)}')
        if isinstance(left, TensorValue) and isinstance(right, TensorValue):
            shape = self._broadcast(place, operator, left.shape, right.shape)
            return TensorValue(shape, left.is_index and right.is_index)
        return left if isinstance(left, TensorValue) else right

    def _broadcast(self, place: Place, operator: str, left: Shape, right: Shape) -> Shape:
        long, short = (left, right) if len(left) >= len(right) else (right, left)
        result = list(long)
        for position in range(1, len(short) + 1):
            a, b = long[-position], short[-position]
            if a != b and ONE not in (a, b):
                hint = "shapes must be equal, or one the tail of the other; size 1 stretches"
                message = f'"{operator}" of shapes {shape_text(left)} and {shape_text(right)}'
                raise self.error(place, message, hint)
            result[-position] = b if a == ONE else a
        return tuple(result)
