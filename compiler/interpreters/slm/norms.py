"""Norms, in the run's floating point type."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm
from compiler.dialects.slm.norms import NormBase
from compiler.interpreters.slm.run import Array, Handlers, SlmRun


def axes_of(op: NormBase) -> tuple[int, ...]:
    """The normalised dimensions, counted from the end."""
    return tuple(range(-op.axes.value.data, 0))


def vector(run: SlmRun, op: NormBase, weight: slm.WeightAttr, x: Array) -> Array:
    """A weight in the shape of the dimensions that it belongs to."""
    return run.load(weight).reshape(x.shape[-op.axes.value.data - op.owners :]).astype(run.dtype)


def rms_norm(run: SlmRun, op: slm.RmsNormOp) -> None:
    x = run.values[op.x]
    mean_square = (x * x).mean(axis=axes_of(op), keepdims=True)
    scaled = x / np.sqrt(mean_square + float(op.eps.value.data))
    run.set_result(op, scaled * (vector(run, op, op.weight, x) + run.dtype(float(op.offset.value.data))))


def layer_norm(run: SlmRun, op: slm.LayerNormOp) -> None:
    x = run.values[op.x]
    centred = x - x.mean(axis=axes_of(op), keepdims=True)
    variance = (centred * centred).mean(axis=axes_of(op), keepdims=True)
    y = centred / np.sqrt(variance + float(op.eps.value.data)) * vector(run, op, op.weight, x)
    if op.bias is not None:
        y = y + vector(run, op, op.bias, x)
    run.set_result(op, y)


NORM_HANDLERS: Handlers = {slm.RmsNormOp: rms_norm, slm.LayerNormOp: layer_norm}
