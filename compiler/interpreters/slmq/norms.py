"""Norms, bit by bit."""

from __future__ import annotations

from compiler.dialects import slmq
from compiler.dialects.slm import WeightAttr
from compiler.dialects.slm.norms import NormBase
from compiler.interpreters import slmq_kernels as kernels
from compiler.interpreters.slmq.run import Handlers, Results, SlmqRun
from compiler.interpreters.slmq_functions import F32


def _rows(op: NormBase, x: F32) -> F32:
    """The normalised dimensions as one."""
    return x.reshape(*x.shape[: x.ndim - op.axes.value.data], -1)


def _vector(run: SlmqRun, op: NormBase, weight: WeightAttr, rows: F32) -> F32:
    """A weight in the shape of the dimensions that it belongs to."""
    return run.prepared.vector(run.key(weight)).reshape(rows.shape[rows.ndim - 1 - op.owners :])


def _rms_norm(run: SlmqRun, op: slmq.RmsNormOp) -> Results:
    x = run.values[op.x]
    rows = _rows(op, x)
    weight = _vector(run, op, op.weight, rows)
    return [kernels.rms_norm(rows, weight, float(op.eps.value.data), float(op.offset.value.data)).reshape(x.shape)]


def _layer_norm(run: SlmqRun, op: slmq.LayerNormOp) -> Results:
    x = run.values[op.x]
    rows = _rows(op, x)
    bias = None if op.bias is None else _vector(run, op, op.bias, rows)
    result = kernels.layer_norm(rows, _vector(run, op, op.weight, rows), bias, float(op.eps.value.data))
    return [result.reshape(x.shape)]


NORM_HANDLERS: Handlers = {slmq.RmsNormOp: _rms_norm, slmq.LayerNormOp: _layer_norm}
