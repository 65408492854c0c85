"""Norms: over the last dimensions of each row; weights and biases are loaded once per norm and broadcast over the rows."""

from __future__ import annotations

from math import prod

from xdsl.ir import SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm.norms import NormBase
from compiler.lowering.builder import Place
from compiler.lowering.tensors import load_vector, vector_place
from compiler.lowering.values import Lowering


def load_norm_vector(low: Lowering, weight: slm.WeightAttr, label: str, offset: float = 0.0) -> Place:
    """A weight in f32, plus a constant, in SRAM."""
    return load_vector(low, vector_place(low, weight, offset), prod(weight.shape), label)


def norm_vectors(op: NormBase) -> list[tuple[slm.WeightAttr, float, str]]:
    """(weight, constant added to it, label) of what a norm loads."""
    if isinstance(op, slmq.RmsNormOp):
        return [(op.weight, op.offset.value.data, "norm_weight")]
    assert isinstance(op, slmq.LayerNormOp)
    weights = [(op.weight, 0.0, "norm_weight")]
    return weights if op.bias is None else [*weights, (op.bias, 0.0, "norm_bias")]


class Norm:
    """The views of one norm: `source` and `target` rows with the normalised dimensions as one, of `size` elements.

    The dimensions with weights of their own, right before that one, count as one too.
    """

    def __init__(self, low: Lowering, op: NormBase):
        x, axes = low.values[op.x], op.axes.value.data
        outer, own = x.shape[: len(x.shape) - axes - op.owners], x.shape[len(x.shape) - axes - op.owners : -axes]
        self.low, self.size = low, prod(x.shape[-axes:])
        self.owners = prod(own)
        self.shape = (*outer, *([self.owners] if own else []), self.size)
        result = low.result(op.result, "normed")
        low.values[op.result] = result
        self.source, self.target = low.view(x, self.shape), low.view(result, self.shape)
        self._sums = low.new("norm", "f32", (*self.shape[:-1], 1), low.rows)

    def inverse_root_mean(self, eps: float) -> SSAValue:
        """1 / sqrt(sum(target) * (1/d) + eps) for each sum, broadcast over the normalised dimension.

        eps waits in memory: a product and a sum in one instruction are sooner done than two that wait for each other.
        """
        low, b, r = self.low, self.low.builder, self.low.view(self._sums)
        addends, ones = low.filled(self._sums, eps, "eps"), low.filled(self._sums, 1.0)
        b.vred("sum", r, self.target)
        b.vmad("mad", r, r, 1 / self.size, low.view(addends))
        b.vun("sqrt", r, r)
        return low.stretched(low.divide(ones, self._sums), self.shape)

    def vector(self, weight: slm.WeightAttr, label: str, offset: float = 0.0) -> SSAValue:
        """A weight in f32, plus a constant, loaded into SRAM and broadcast over the rows."""
        b = self.low.builder
        key = (weight, offset)
        place = self.low.vectors.get(key) or self.low.vectors_ahead.pop(key, None)
        place = place or load_norm_vector(self.low, weight, label, offset)
        strides = [4, *[0] * (len(self.shape) - 1), 0]
        if self.owners > 1:
            strides[1] = self.size * 4
        return b.view(place, "f32", [*reversed(self.shape), self.low.rows], strides)


def lower_rms_norm(low: Lowering, op: slmq.RmsNormOp) -> None:
    """y = (x * (1 / sqrt(sum(x*x) * (1/d) + eps))) * w."""
    b, norm = low.builder, Norm(low, op)
    weight = norm.vector(op.weight, "norm_weight", op.offset.value.data)
    b.vbin("mul", norm.target, norm.source, norm.source)
    b.vbin("mul", norm.target, norm.source, norm.inverse_root_mean(op.eps.value.data))
    b.vbin("mul", norm.target, norm.target, weight)


def lower_layer_norm(low: Lowering, op: slmq.LayerNormOp) -> None:
    """m = sum(x) * (1/d); c = x - m; y = (c * (1 / sqrt(sum(c*c) * (1/d) + eps))) * w + b.

    x - m is computed twice: keeping it beside its squares would take another buffer of the size of x. Of rows that were only brought here
    for this it takes their place.
    """
    b, norm = low.builder, Norm(low, op)
    weight = norm.vector(op.weight, "norm_weight")
    bias = None if op.bias is None else norm.vector(op.bias, "norm_bias")
    mean = low.new("mean", "f32", (*norm.shape[:-1], 1), low.rows)
    b.vred("sum", low.view(mean), norm.source)
    b.vbin("mul", low.view(mean), low.view(mean), 1 / norm.size)
    centred = norm.source if op.x in low.copies and len(list(op.x.uses)) == 1 else norm.target
    b.vbin("sub", centred, norm.source, low.stretched(mean, norm.shape))
    b.vbin("mul", norm.target, centred, centred)
    inverse = norm.inverse_root_mean(op.eps.value.data)
    if centred is norm.target:
        b.vbin("sub", centred, norm.source, low.stretched(mean, norm.shape))
    b.vbin("mul", norm.target, centred, inverse)
    if bias is None:
        b.vbin("mul", norm.target, norm.target, weight)
    else:
        b.vmad("mad", norm.target, norm.target, weight, bias)
