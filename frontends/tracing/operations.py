"""Operations on symbolic tensors: arguments are checked, slm operations emitted."""

from __future__ import annotations

from math import prod
from typing import Any

from xdsl.utils.exceptions import VerifyException

from compiler.dialects import slm
from frontends.configuration.declared import Weight
from frontends.configuration.evaluator import Evaluator
from frontends.configuration.values import (
    Rotary,
    number,
    positive_integer,
    positive_number,
)
from frontends.errors import FrontendError, shape_text
from frontends.language import syntax
from frontends.language.catalogue import ACTIVATIONS
from frontends.language.source import Place
from frontends.language.syntax import ArchitectureFile
from frontends.tracing.emitter import TOKENS, Emitter, Positions, Tensor

IMAGE_OPERATIONS = ("patches", "concat", "l2_normalize", "replace")


class OperationTracer(Evaluator):
    """Weights, functions and operations applied to tensors. expressions.py evaluates what they are applied to."""

    def __init__(self, file: ArchitectureFile, emitter: Emitter, origins: Evaluator):
        """`origins` has evaluated the config: it knows which fields a name comes from."""
        super().__init__(file.source, origins.document, origins.document_name)
        self._origins = origins
        self.emitter = emitter
        self.state_count = 0
        """Of the calls traced so far in this layer, or outside of layers: it names the next state."""

    def origin_hint(self, expression: syntax.Expression) -> str | None:
        return self._origins.origin_hint(expression)

    def unavailable(self, place: Place, what: str) -> FrontendError:
        return self.error(place, f"{what} is in the language, but the compiler does not have it yet")

    def tensor_of(self, place: Place, value: Any) -> Tensor:
        if isinstance(value, Positions):
            return self.emitter.positions(place, value)
        if not isinstance(value, Tensor):
            raise self.error(place, "needs a tensor")
        return value

    def check_table(self, place: Place, weight: Weight, positions: Positions) -> None:
        """Raises FrontendError if a table has no row for the first position."""
        if weight.kind == "embedding" and positions.offset >= prod(weight.outputs):
            found = f"the first position looks up row {positions.offset}"
            raise self.error(place, f'"{weight.name}" has {prod(weight.outputs)} rows, {found}')

    def rows_of(self, place: Place, what: str, value: Any) -> Tensor:
        """A tensor [T, ..]."""
        x = self.tensor_of(place, value)
        if len(x.shape) < 2 or x.shape[0] != TOKENS:
            raise self.unavailable(place, f"{what} of {token_shape(x)}")
        return x

    def call_weight(self, place: Place, weight: Weight, x: Tensor) -> Tensor:
        if weight.kind == "embedding":
            if not x.is_index:
                raise self.error(place, f'"{weight.name}" takes token indices')
            return self.emitter.embedding(place, x, weight)
        takes = weight.inputs if weight.kind == "linear" else weight.per + weight.outputs
        if x.is_index or x.shape[len(x.shape) - len(takes) :] != takes:
            found = f"[..., {', '.join(str(dimension) for dimension in takes)}], found {token_shape(x)}"
            raise self.error(place, f'"{weight.name}" takes {found}')
        dimensions = len(x.shape) - len(takes)
        one_row_each = weight.kind in ("linear", "causal_conv")
        if dimensions < 1 or one_row_each and dimensions > 1 or weight.kind == "causal_conv" and x.shape[0] != TOKENS:
            raise self.unavailable(place, f"a {weight.kind} on other than rows")
        if weight.kind in ("rms_norm", "layer_norm"):
            return self.emitter.norm(place, x, weight)
        if weight.kind == "causal_conv":
            return self.emitter.causal_conv(place, x, weight, self._next_state())
        return self.emitter.linear(place, x, weight)

    def check_rotary(self, place: Place, rotary: Rotary, x: Tensor) -> None:
        if len(x.shape) != 3 or rotary.dim > x.shape[2]:
            raise self.error(place, f"rotary of {rotary.dim} dimensions on {token_shape(x)}")
        if x.shape[0] != TOKENS:
            raise self.unavailable(place, "rotary positions on other than one row for each token")

    def operation(self, place: Place, name: str, values: dict[str, Any], bound: dict[str, syntax.Expression]) -> Any:
        if name in ACTIVATIONS:
            return self.emitter.activation(place, name, self.tensor_of(place, values["x"]))
        if name == "sqrt" and not isinstance(values["value"], Tensor):
            with self.located(place):
                return positive_number(values["value"], "the value of sqrt") ** 0.5
        if name == "attention":
            return self._attention(place, values, bound)
        if name == "sinusoid":
            return self._sinusoid(place, values["positions"], values["dim"], bound["dim"])
        if name == "softcap":
            return self._softcap(place, self.tensor_of(place, values["x"]), values["cap"], bound["cap"])
        if name in ("softmax", "sum", "top_k"):
            return self._last_dimension(place, name, values, bound)
        if name == "selective_scan":
            operands = tuple(self.tensor_of(place, values[key]) for key in ("u", "dt", "A", "B", "C"))
            return self.emitter.selective_scan(place, operands, self._next_state())
        if name in IMAGE_OPERATIONS:
            return self._image_operation(place, name, values, bound)
        raise self.unavailable(place, name)

    def _sinusoid(self, place: Place, positions: Any, dim: Any, expression: syntax.Expression) -> Tensor:
        if not isinstance(positions, Positions):
            raise self.unavailable(place, "a sinusoid of other than positions")
        with self.located(place, expression):
            columns = positive_integer(dim, "the columns of a sinusoid")
        try:
            return self.emitter.sinusoid(place, positions, columns)
        except VerifyException as error:
            raise self.error(place, str(error)) from error

    def _last_dimension(
        self, place: Place, name: str, values: dict[str, Any], bound: dict[str, syntax.Expression]
    ) -> Tensor:
        """Softmax, sum and top_k."""
        x = self.rows_of(place, name, values["p" if name == "top_k" else "x"])
        if name != "top_k":
            return self.emitter.softmax(place, x) if name == "softmax" else self.emitter.reduce_sum(place, x)
        with self.located(place, bound["count"]):
            count = positive_integer(values["count"], "the count of top_k")
            if count > x.shape[-1]:
                raise ValueError(f"top_k of {count} out of {x.shape[-1]}")
        if count > slm.MOST_CHOSEN:
            raise self.unavailable(place, f"top_k of more than {slm.MOST_CHOSEN}")
        return self.emitter.top_k(place, x, count)

    def _image_operation(
        self, place: Place, name: str, values: dict[str, Any], bound: dict[str, syntax.Expression]
    ) -> Tensor:
        """Operations on the rows of an image."""
        tensors = {key: self.tensor_of(place, value) for key, value in values.items() if key != "patch"}
        if name == "l2_normalize":
            return self.emitter.l2_normalize(place, tensors["x"])
        if name == "replace":
            return self._replace(place, tensors["x"], tensors["mask"], tensors["rows"])
        try:
            if name == "concat":
                return self.emitter.concat(place, tensors["a"], tensors["b"])
            with self.located(place, bound["patch"]):
                size = positive_integer(values["patch"], "the size of a patch")
            return self.emitter.patches(place, tensors["image"], size)
        except VerifyException as error:
            raise self.error(place, str(error)) from error

    def _replace(self, place: Place, x: Tensor, mask: Tensor, rows: Tensor) -> Tensor:
        if self.emitter.layer is not None or x.shape[0] != TOKENS or not mask.is_index or mask.shape != (TOKENS,):
            raise self.unavailable(place, "replace other than of tokens' rows by an input's mask, outside of loops")
        if rows.shape[1:] != x.shape[1:] or rows.shape[0] == TOKENS:
            found = f"{token_shape(x)} and {token_shape(rows)}"
            raise self.error(place, f"replace takes x [T, d] and rows [n, d], found {found}")
        return self.emitter.replace(place, x, mask, rows)

    def _softcap(self, place: Place, x: Tensor, cap: Any, expression: syntax.Expression) -> Tensor:
        """c tanh(x / c)."""
        if cap is None:
            return x
        with self.located(place, expression):
            limit = self.emitter.constant(place, positive_number(cap, "a softcap"))
        scaled = self.binary_op(place, "/", x, limit)
        return self.binary_op(place, "*", self.emitter.activation(place, "tanh", scaled), limit)

    def _attention(self, place: Place, values: dict[str, Any], bound: dict[str, syntax.Expression]) -> Tensor:
        q, k, v = (self.tensor_of(place, values[key]) for key in ("q", "k", "v"))
        if len(q.shape) != 3 or k.shape != v.shape or len(k.shape) != 3 or q.shape[2] != k.shape[2]:
            shapes = ", ".join(token_shape(tensor) for tensor in (q, k, v))
            raise self.error(place, f"attention takes q [T, H, hd], k and v [S, G, hd], found {shapes}")
        if q.shape[1] % k.shape[1]:
            message = (
                f"attention needs a multiple of the k/v heads, found {q.shape[1]} heads and {k.shape[1]} k/v heads"
            )
            raise self.error(place, message)
        causal, fixed = values.get("causal", True), TOKENS not in (q.shape[0], k.shape[0])
        over_tokens = q.shape[0] == k.shape[0] == TOKENS
        if causal is not (not fixed) or not fixed and not over_tokens or fixed and values.get("window") is not None:
            raise self.unavailable(
                place, "attention other than causal over the tokens, or full over a fixed number of rows"
            )
        window, scale, softcap = (values.get(key) for key in ("window", "scale", "softcap"))
        with self.located(place, bound.get("window")):
            width = None if window is None else positive_integer(window, "a window")
        with self.located(place, bound.get("scale")):
            factor = q.shape[2] ** -0.5 if scale is None else number(scale, "the attention scale")
        with self.located(place, bound.get("softcap")):
            cap = None if softcap is None else positive_number(softcap, "a softcap")
        if fixed:
            return self.emitter.full_attention(place, (q, k, v), factor, cap)
        return self.emitter.attention(place, (q, k, v), self._next_state(), factor, width, cap)

    def _next_state(self) -> int:
        self.state_count += 1
        return self.state_count - 1

    def binary_op(self, place: Place, operator: str, left: Tensor, right: Tensor) -> Tensor:
        try:
            return self.emitter.binary(place, operator, left, right)
        except VerifyException as error:
            shapes = f"{token_shape(left)} and {token_shape(right)}"
            raise self.error(place, f'"{operator}" of shapes {shapes}') from error


def token_shape(tensor: Tensor) -> str:
    """`[T, 64]`."""
    return shape_text("T" if dimension == TOKENS else dimension for dimension in tensor.shape)
