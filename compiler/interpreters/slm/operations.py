"""What each operation means: one formula each, in the run's floating point type."""

from __future__ import annotations

from collections.abc import Callable
from math import erf, pi, prod, sqrt
from typing import cast

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from compiler.dialects import slm
from compiler.dialects.slm import shape_of
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.rotary import rotary_tables_f64
from compiler.interpreters.slm.images import IMAGE_HANDLERS
from compiler.interpreters.slm.norms import NORM_HANDLERS
from compiler.interpreters.slm.positions import POSITION_HANDLERS
from compiler.interpreters.slm.recurrent import RECURRENT
from compiler.interpreters.slm.routing import ROUTING
from compiler.interpreters.slm.run import Array, Handlers, SlmRun

CAST_ELEMENTS = 1 << 22
"""Weight elements cast at once: 32 MB in float64."""
QUERY_ROWS = 256
"""Query rows attended at once, so that scores are [heads of a group, 256, T]."""


def layers(run: SlmRun, op: slm.LayersOp) -> None:
    if run.layer is not None:
        raise InterpreterError("layers inside layers are not defined", op)
    current = [run.values[value] for value in op.values]
    for layer, kind in enumerate(op.layer_kinds):
        run.layer = layer
        body = op.body(kind)
        run.values.update(zip(body.args, current, strict=True))
        current = run.block(body)
    run.layer = None
    run.values.update(zip(op.outs, current, strict=True))


def embedding(run: SlmRun, op: slm.EmbeddingOp) -> None:
    table, indices = run.load(op.weight), run.values[op.tokens]
    if indices.min() < 0 or indices.max() >= len(table):
        what = "positions" if isinstance(op.tokens.owner, slm.PositionsOp) else "tokens"
        raise InterpreterError(f"{what} must be 0 .. {len(table) - 1}, found {indices.min()} .. {indices.max()}", op)
    run.set_result(op, table[indices].astype(run.dtype))


def linear(run: SlmRun, op: slm.LinearOp) -> None:
    x = run.values[op.x].reshape(len(run.values[op.x]), -1)
    rows, columns = prod(shape_of(op.result)[1:]), x.shape[1]
    weight = run.load(op.weight).reshape(rows, columns)
    y = np.empty((len(x), rows), run.dtype)
    step = max(1, CAST_ELEMENTS // columns)
    for first in range(0, rows, step):
        part = weight[first : first + step]
        y[:, first : first + step] = x @ part.astype(run.dtype, copy=False).T
    if op.bias is not None:
        y += run.load(op.bias).reshape(rows)
    run.set_result(op, y)


def rope(run: SlmRun, op: slm.RopeOp) -> None:
    x, half = run.values[op.x], op.rotary.dim.data // 2
    if op.rotary not in run.rotary:
        tables = rotary_tables_f64(op.rotary, len(run.tokens), len(run.tokens))
        run.rotary[op.rotary] = cast(tuple[Array, Array], tuple(table[:, None].astype(run.dtype) for table in tables))
    cos, sin = run.rotary[op.rotary]
    first, second = x[..., :half], x[..., half : 2 * half]
    rotated = (first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :])
    run.set_result(op, np.concatenate(rotated, axis=-1))


def attention(run: SlmRun, op: slm.AttentionOp) -> None:
    q, k, v = (run.values[value].transpose(1, 0, 2) for value in (op.q, op.k, op.v))
    heads_per_group = len(q) // len(k)
    result = np.empty_like(q)
    for first in range(0, q.shape[1], QUERY_ROWS):
        rows = np.arange(first, min(first + QUERY_ROWS, q.shape[1]))
        visible = visible_keys(rows, q.shape[1], None if op.window is None else op.window.value.data)
        for group in range(len(k)):
            heads = slice(group * heads_per_group, (group + 1) * heads_per_group)
            scores = q[heads, rows] @ k[group].T * run.dtype(slm.at_layer(op.scale, op.layer_scales, run.layer))
            if op.softcap is not None:
                cap = run.dtype(float(op.softcap.value.data))
                scores = np.tanh(scores / cap) * cap
            scores = np.where(visible, scores, -np.inf)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            result[heads, rows] = weights @ v[group] / weights.sum(axis=-1, keepdims=True)
    run.set_result(op, result.transpose(1, 0, 2))


def activation(run: SlmRun, op: slm.ActivationOp) -> None:
    run.set_result(op, ACTIVATIONS[op.kind.data](run.values[op.x]).astype(run.dtype, copy=False))


def constant(run: SlmRun, op: slm.ConstantOp) -> None:
    run.set_result(op, np.full(shape_of(op.result), float(op.value.value.data), run.dtype))


def tensor(run: SlmRun, op: slm.TensorOp) -> None:
    run.set_result(op, run.load(op.weight).astype(run.dtype))


def binary(run: SlmRun, op: slm.BinaryOp) -> None:
    run.set_result(op, BINARY[type(op)](run.values[op.lhs], run.values[op.rhs]))


def visible_keys(rows: NDArray[np.int64], keys: int, window: int | None) -> NDArray[np.bool_]:
    """[rows, keys]: key j is visible to row t if t - window < j <= t."""
    distance = rows[:, None] - np.arange(keys)
    return (distance >= 0) & (distance < (keys if window is None else window))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _gelu(x: Array) -> Array:
    erf_values = np.array([erf(value) for value in (x / sqrt(2)).ravel().tolist()], x.dtype)
    return 0.5 * x * (1 + erf_values.reshape(x.shape))


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "silu": lambda x: x * _sigmoid(x),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "quick_gelu": lambda x: x * _sigmoid(1.702 * x),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
}
BINARY: dict[type[Operation], Callable[[Array, Array], Array]] = {
    slm.AddOp: np.add,
    slm.SubOp: np.subtract,
    slm.MulOp: np.multiply,
    slm.DivOp: np.divide,
}
HANDLERS: Handlers = {
    slm.LayersOp: layers,
    slm.EmbeddingOp: embedding,
    slm.LinearOp: linear,
    **POSITION_HANDLERS,
    **NORM_HANDLERS,
    slm.RopeOp: rope,
    slm.AttentionOp: attention,
    slm.ActivationOp: activation,
    slm.ConstantOp: constant,
    slm.TensorOp: tensor,
    **dict.fromkeys(BINARY, binary),
    **ROUTING,
    **RECURRENT,
    **IMAGE_HANDLERS,
}
