"""NumPy interpreter of the slm dialect: a whole sequence in float64 or float32.

It is the judge against published models: no key-value state, no chunks, no fused steps, one formula per operation.
Memory is bounded by the values of one layer and one weight; a large weight is cast by blocks of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf, pi, prod, sqrt
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm
from compiler.dialects.slm import RotaryAttr, WeightAttr, shape_of
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.rotary import rotary_tables_f64
from compiler.program import Program, WeightStore

Array = NDArray[np.floating[Any]]
CAST_ELEMENTS = 1 << 22
"""Weight elements cast at once: 32 MB in float64."""
QUERY_ROWS = 256
"""Query rows attended at once, so that scores are [heads of a group, 256, T]."""


def interpret_slm(program: Program, tokens: Sequence[int], dtype: type[np.floating[Any]] = np.float64) -> Array:
    """Logits float32 [T, V] of tokens [T], computed in `dtype` and rounded at the end.

    Raises InterpreterError if the module has no `forward` or an operation of another level, or a token is not in the
    vocabulary.
    """
    if not tokens:
        raise InterpreterError("an empty prompt has no logits")
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return _Interpreter(program.weights, np.asarray(tokens, np.int64), dtype).run(program.module)


def forward_function(module: ModuleOp) -> Block:
    """The body of `func.func @forward`. Raises InterpreterError if there is none."""
    for op in module.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "forward" and op.body.blocks:
            return op.body.block
    raise InterpreterError("the module has no function @forward")


class _Interpreter:
    """One run. `layer` is the index that `{i}` stands for, None outside layers."""

    def __init__(self, weights: WeightStore, tokens: NDArray[np.int64], dtype: type[np.floating[Any]]):
        self.weights = weights
        self.tokens = tokens
        self.dtype = dtype
        self.layer: int | None = None
        self.values: dict[SSAValue, Any] = {}
        self.rotary: dict[RotaryAttr, tuple[Array, Array]] = {}
        self.handlers: dict[type[Operation], Callable[[Any], None]] = {
            slm.EmbeddingOp: self.embedding,
            slm.LinearOp: self.linear,
            slm.RmsNormOp: self.rms_norm,
            slm.RopeOp: self.rope,
            slm.AttentionOp: self.attention,
            slm.ActivationOp: self.activation,
            slm.ConstantOp: self.constant,
            slm.AddOp: self.binary,
            slm.SubOp: self.binary,
            slm.MulOp: self.binary,
            slm.DivOp: self.binary,
            slm.LayersOp: self.layers,
        }

    def run(self, module: ModuleOp) -> NDArray[np.float32]:
        body = forward_function(module)
        self.values[body.args[0]] = self.tokens
        logits = self.block(body)[0]
        return logits.astype(np.float32)

    def block(self, block: Block) -> list[Array]:
        """Runs the operations and returns the operands of the terminator."""
        defined: list[SSAValue] = list(block.args)
        results: list[Array] = []
        for op in block.ops:
            if isinstance(op, func.ReturnOp | slm.YieldOp):
                results = [self.values[value] for value in op.operands]
                break
            handler = self.handlers.get(type(op))
            if handler is None:
                raise InterpreterError("is not an operation of the slm level", op)
            handler(op)
            defined.extend(op.results)
        for value in defined:
            self.values.pop(value, None)
        return results

    def layers(self, op: slm.LayersOp) -> None:
        if self.layer is not None:
            raise InterpreterError("layers inside layers are not defined", op)
        current = [self.values[value] for value in op.values]
        for layer, kind in enumerate(op.layer_kinds):
            self.layer = layer
            body = op.body(kind)
            self.values.update(zip(body.args, current, strict=True))
            current = self.block(body)
        self.layer = None
        self.values.update(zip(op.outs, current, strict=True))

    def load(self, weight: WeightAttr) -> NDArray[np.float32]:
        return self.weights.load(weight.key.data if self.layer is None else weight.at_layer(self.layer))

    def embedding(self, op: slm.EmbeddingOp) -> None:
        table, tokens = self.load(op.weight), self.values[op.tokens]
        if tokens.min() < 0 or tokens.max() >= len(table):
            raise InterpreterError(f"tokens must be 0 .. {len(table) - 1}, found {tokens.min()} .. {tokens.max()}", op)
        self.set_result(op, table[tokens].astype(self.dtype))

    def linear(self, op: slm.LinearOp) -> None:
        x = self.values[op.x].reshape(len(self.tokens), -1)
        rows, columns = prod(shape_of(op.result)[1:]), x.shape[1]
        weight = self.load(op.weight).reshape(rows, columns)
        y = np.empty((len(x), rows), self.dtype)
        step = max(1, CAST_ELEMENTS // columns)
        for first in range(0, rows, step):
            part = weight[first : first + step]
            y[:, first : first + step] = x @ part.astype(self.dtype, copy=False).T
        if op.bias is not None:
            y += self.load(op.bias).reshape(rows)
        self.set_result(op, y)

    def rms_norm(self, op: slm.RmsNormOp) -> None:
        x = self.values[op.x]
        axes = tuple(range(-op.axes.value.data, 0))
        weight = self.load(op.weight).reshape(x.shape[axes[0] :]).astype(self.dtype)
        mean_square = (x * x).mean(axis=axes, keepdims=True)
        scaled = x / np.sqrt(mean_square + float(op.eps.value.data))
        self.set_result(op, scaled * (weight + self.dtype(float(op.offset.value.data))))

    def rope(self, op: slm.RopeOp) -> None:
        x, half = self.values[op.x], op.rotary.dim.data // 2
        if op.rotary not in self.rotary:
            tables = rotary_tables_f64(op.rotary, len(self.tokens), len(self.tokens))
            self.rotary[op.rotary] = cast(
                tuple[Array, Array], tuple(table[:, None].astype(self.dtype) for table in tables)
            )
        cos, sin = self.rotary[op.rotary]
        first, second = x[..., :half], x[..., half : 2 * half]
        rotated = (first * cos - second * sin, second * cos + first * sin, x[..., 2 * half :])
        self.set_result(op, np.concatenate(rotated, axis=-1))

    def attention(self, op: slm.AttentionOp) -> None:
        q, k, v = (self.values[value].transpose(1, 0, 2) for value in (op.q, op.k, op.v))
        heads_per_group = len(q) // len(k)
        result = np.empty_like(q)
        for first in range(0, q.shape[1], QUERY_ROWS):
            rows = np.arange(first, min(first + QUERY_ROWS, q.shape[1]))
            visible = _visible(rows, q.shape[1], None if op.window is None else op.window.value.data)
            for group in range(len(k)):
                heads = slice(group * heads_per_group, (group + 1) * heads_per_group)
                scores = q[heads, rows] @ k[group].T * self.dtype(float(op.scale.value.data))
                if op.softcap is not None:
                    cap = self.dtype(float(op.softcap.value.data))
                    scores = np.tanh(scores / cap) * cap
                scores = np.where(visible, scores, -np.inf)
                weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
                result[heads, rows] = weights @ v[group] / weights.sum(axis=-1, keepdims=True)
        self.set_result(op, result.transpose(1, 0, 2))

    def activation(self, op: slm.ActivationOp) -> None:
        self.set_result(op, ACTIVATIONS[op.kind.data](self.values[op.x]).astype(self.dtype, copy=False))

    def constant(self, op: slm.ConstantOp) -> None:
        self.set_result(op, np.full(shape_of(op.result), float(op.value.value.data), self.dtype))

    def binary(self, op: slm.BinaryOp) -> None:
        self.set_result(op, BINARY[type(op)](self.values[op.lhs], self.values[op.rhs]))

    def set_result(self, op: Operation, value: Array) -> None:
        """The value in the shape the IR states, the token count being the length of the sequence."""
        stated = shape_of(op.results[0])
        self.values[op.results[0]] = value.reshape([len(self.tokens) if size < 0 else size for size in stated])


def _visible(rows: NDArray[np.int64], keys: int, window: int | None) -> NDArray[np.bool_]:
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
}
BINARY: dict[type[Operation], Callable[[Array, Array], Array]] = {
    slm.AddOp: np.add,
    slm.SubOp: np.subtract,
    slm.MulOp: np.multiply,
    slm.DivOp: np.divide,
}
