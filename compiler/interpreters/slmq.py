"""Bit-exact NumPy interpreter of the slmq dialect: the golden result for everything below, by docs/numerics.md alone.

Values are float32 arrays (also those of bf16 tensors, whose values float32 holds exactly) and int8 arrays.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm import RotaryAttr, WeightAttr, shape_of
from compiler.dialects.slmq import element_of
from compiler.interpreters import slmq_kernels as kernels
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.rotary import rotary_tables
from compiler.interpreters.sampling import SamplerSettings, sample_token
from compiler.interpreters.slm import forward_function
from compiler.interpreters.slmq_attention import BLOCK_KEYS, KeyValueState, attend
from compiler.interpreters.slmq_functions import ACTIVATIONS, F32, canonical, round_bf16
from compiler.interpreters.slmq_kernels import QuantizedWeight
from compiler.program import WeightStore

CACHE_BYTES = 256 << 20
MAX_CONTEXT = 1 << 20
"""Rotary tables are made for the whole context: at most a few hundred MB."""
BINARY: dict[type[Operation], Callable[[F32, F32], F32]] = {
    slmq.AddOp: np.add,
    slmq.SubOp: np.subtract,
    slmq.MulOp: np.multiply,
    slmq.DivOp: np.divide,
}


@dataclass
class Generation:
    """tokens: the generated ids; logits: float32 [n, V], the row that each was sampled from."""

    tokens: list[int] = field(default_factory=list[int])
    logits: list[F32] = field(default_factory=list[F32])


class PreparedWeights:
    """Weights in their number format, the last used ones kept up to CACHE_BYTES."""

    def __init__(self, weights: WeightStore):
        self.weights = weights
        self.kept: OrderedDict[tuple[str, str], tuple[NDArray[Any], ...]] = OrderedDict()
        self.kept_bytes = 0

    def prepared(
        self, name: str, use: str, prepare: Callable[[F32], tuple[NDArray[Any], ...]]
    ) -> tuple[NDArray[Any], ...]:
        """prepare(the weight), or what it gave before for the same storage and use."""
        key = (self.weights.alias_of(name) or name, use)
        if key in self.kept:
            self.kept.move_to_end(key)
            return self.kept[key]
        arrays = prepare(self.weights.load(name))
        size_bytes = sum(array.nbytes for array in arrays)
        if size_bytes <= CACHE_BYTES:
            self.kept[key] = arrays
            self.kept_bytes += size_bytes
        while self.kept_bytes > CACHE_BYTES:
            _, dropped = self.kept.popitem(last=False)
            self.kept_bytes -= sum(array.nbytes for array in dropped)
        return arrays

    def table(self, name: str, element: str) -> F32:
        """Embedding rows [V, ...] in their storage format, as float32."""
        return self.prepared(name, f"table {element}", lambda w: (round_bf16(w) if element == "bf16" else w,))[0]

    def columns(self, name: str, rows: int, element: str) -> F32:
        """A float matrix as float32 [K, rows]."""
        return self.prepared(
            name, f"columns {element} {rows}", lambda w: (kernels.columns_first(w.reshape(rows, -1), element),)
        )[0]

    def quantized(self, name: str, rows: int) -> QuantizedWeight:
        """An int8 matrix [rows, K] with its scales."""

        def prepare(weight: F32) -> tuple[NDArray[Any], ...]:
            result = kernels.quantize_weight(weight.reshape(rows, -1))
            return result.q, result.scale

        return QuantizedWeight(*self.prepared(name, f"quantized {rows}", prepare))

    def vector(self, name: str) -> F32:
        return self.weights.load(name).reshape(-1)


class SlmqInterpreter:
    """Runs `func.func @forward` chunk by chunk; attention keeps its keys and values in `states` between steps.

    context: most positions of a sequence. states: (state name with its layer, layer or None) to KeyValueState.
    `sampled` is the token the module sampled in the last step, None if the module returns logits.
    """

    def __init__(self, module: ModuleOp, weights: WeightStore, context: int):
        if not 1 <= context <= MAX_CONTEXT:
            raise InterpreterError(f"the context must be 1 .. {MAX_CONTEXT}, found {context}")
        self.body = forward_function(module)
        self.prepared = PreparedWeights(weights)
        self.context = context
        self.settings = SamplerSettings()
        self.rotary: dict[RotaryAttr, tuple[F32, F32]] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets the sequence: position 0, empty states."""
        self.position = 0
        self.states: dict[tuple[str, int | None], KeyValueState] = {}
        self.layer: int | None = None
        self.values: dict[SSAValue, NDArray[Any]] = {}
        self.logits: F32 | None = None
        self.sampled: int | None = None
        self.all_rows = True

    def run(self, tokens: Sequence[int], chunk: int = BLOCK_KEYS, all_rows: bool = True) -> F32:
        """Steps of at most `chunk` tokens that never cross a multiple of 256 positions.

        Gives float32 [T, V], or [1, V] of the last token unless all_rows.
        """
        if chunk < 1 or not tokens:
            raise InterpreterError(f"expected tokens and a positive chunk, found {len(tokens)} tokens by {chunk}")
        rows: list[F32] = []
        done = 0
        while done < len(tokens):
            count = min(chunk, BLOCK_KEYS - self.position % BLOCK_KEYS, len(tokens) - done)
            rows.append(self.step(tokens[done : done + count], all_rows))
            done += count
        return np.concatenate(rows) if all_rows else rows[-1]

    def step(self, tokens: Sequence[int], all_rows: bool = True) -> F32:
        """Processes the chunk tokens [T] at the current position, T <= 256 - position % 256.

        Gives logits float32 [T, V], or [1, V] of the last token unless all_rows. Raises InterpreterError for a chunk
        that is empty, crosses a multiple of 256 or exceeds the context, and for tokens outside the vocabulary.
        """
        room = min(BLOCK_KEYS - self.position % BLOCK_KEYS, self.context - self.position)
        if not 1 <= len(tokens) <= room:
            raise InterpreterError(f"at position {self.position} a chunk has 1 .. {room} tokens, found {len(tokens)}")
        self.all_rows, self.logits, self.sampled = all_rows, None, None
        self.values[self.body.args[0]] = np.asarray(tokens, np.int64)
        with np.errstate(all="ignore"):
            results = self.run_block(self.body)
        self.position += len(tokens)
        logits = results[0] if self.logits is None else self.logits
        return logits if all_rows else logits[-1:]

    def generate(
        self,
        prompt: Sequence[int],
        count: int,
        settings: SamplerSettings | None = None,
        stop_tokens: Sequence[int] = (),
        chunk: int = BLOCK_KEYS,
    ) -> Generation:
        """Appends `prompt` to the sequence, then samples up to `count` tokens; a stop token is the last one."""
        self.settings = settings or SamplerSettings()
        generation = Generation()
        pending = list(prompt)
        while len(generation.tokens) < count:
            row = self.run(pending, chunk, all_rows=False)[0]
            token = self.sampled
            if token is None:
                token = sample_token(row, self.settings, self.position - 1)
            generation.tokens.append(token)
            generation.logits.append(row)
            if token in stop_tokens or self.position >= self.context:
                break
            pending = [token]
        return generation

    def run_block(self, block: Block) -> list[NDArray[Any]]:
        """Runs the operations and returns the operands of the terminator."""
        defined: list[SSAValue] = list(block.args)
        results: list[NDArray[Any]] = []
        for op in block.ops:
            if isinstance(op, func.ReturnOp | slm.YieldOp | slmq.YieldOp):
                results = [self.values[value] for value in op.operands]
                break
            handler = HANDLERS.get(type(op))
            if handler is None:
                raise InterpreterError("is not an operation of the slmq level", op)
            produced = handler(self, op)
            for value, result in zip(op.results, produced, strict=True):
                self.values[value] = canonical(result) if result.dtype == np.float32 else result
            defined.extend(op.results)
        for value in defined:
            self.values.pop(value, None)
        return results

    def key(self, weight: WeightAttr) -> str:
        return weight.key.data if self.layer is None else weight.at_layer(self.layer)


Results = Sequence[NDArray[Any]]


def _layers(run: SlmqInterpreter, op: slm.LayersOp) -> Results:
    if run.layer is not None:
        raise InterpreterError("layers inside layers are not defined", op)
    current: Results = [run.values[value] for value in op.values]
    for layer, kind in enumerate(op.layer_kinds):
        run.layer = layer
        body = op.body(kind)
        run.values.update(zip(body.args, current, strict=True))
        current = run.run_block(body)
    run.layer = None
    return current


def _strips(run: SlmqInterpreter, op: slmq.StripsOp) -> Results:
    return run.run_block(op.body.block)


def _embed(run: SlmqInterpreter, op: slmq.EmbedOp) -> Results:
    table, tokens = run.prepared.table(run.key(op.weight), op.format.data), run.values[op.tokens]
    if tokens.min() < 0 or tokens.max() >= len(table):
        raise InterpreterError(f"tokens must be 0 .. {len(table) - 1}, found {tokens.min()} .. {tokens.max()}", op)
    return [table[tokens]]


def _rms_norm(run: SlmqInterpreter, op: slmq.RmsNormOp) -> Results:
    x, weight = run.values[op.x], run.prepared.vector(run.key(op.weight))
    rows = x.reshape(*x.shape[: x.ndim - op.axes.value.data], -1)
    result = kernels.rms_norm(rows, weight, float(op.eps.value.data), float(op.offset.value.data))
    return [result.reshape(x.shape)]


def _quantize(run: SlmqInterpreter, op: slmq.QuantizeOp) -> Results:
    x = run.values[op.x]
    q, scale = kernels.quantize_rows(x.reshape(*x.shape[: x.ndim - op.axes.value.data], -1))
    return [q.reshape(x.shape), scale]


def _round(run: SlmqInterpreter, op: slmq.RoundOp) -> Results:
    return [round_bf16(run.values[op.x])]


def _matmul(run: SlmqInterpreter, op: slmq.MatmulOp) -> Results:
    stated, name = shape_of(op.result)[1:], run.key(op.weight)
    x = run.values[op.x].reshape(len(run.values[op.x]), -1)
    rows = prod(stated)
    if op.scale is None:
        columns = run.prepared.columns(name, rows, op.format.data)
        y = kernels.matmul_fp(np.ascontiguousarray(x.T), columns)
    else:
        weight = run.prepared.quantized(name, rows)
        product = kernels.matmul_i8(x, weight.q).astype(np.float32)
        y = (product * weight.scale) * run.values[op.scale].reshape(len(x), 1)
    if op.bias is not None:
        y = y + run.prepared.vector(run.key(op.bias))
    return [y.reshape(len(x), *stated)]


def _rope(run: SlmqInterpreter, op: slmq.RopeOp) -> Results:
    if op.rotary not in run.rotary:
        run.rotary[op.rotary] = rotary_tables(op.rotary, run.context, run.context)
    x = run.values[op.x]
    cos, sin = (table[run.position : run.position + len(x)] for table in run.rotary[op.rotary])
    return [kernels.rope(x, cos, sin)]


def _scale(run: SlmqInterpreter, op: slmq.ScaleOp) -> Results:
    return [run.values[op.x] * np.float32(float(op.factor.value.data))]


def _offset(run: SlmqInterpreter, op: slmq.OffsetOp) -> Results:
    return [run.values[op.x] + np.float32(float(op.constant.value.data))]


def _activation(run: SlmqInterpreter, op: slmq.ActivationOp) -> Results:
    return [ACTIVATIONS[op.kind.data](run.values[op.x])]


def _binary(run: SlmqInterpreter, op: Operation) -> Results:
    lhs, rhs = (run.values[value] for value in op.operands)
    return [BINARY[type(op)](lhs, rhs)]


def _attention(run: SlmqInterpreter, op: slmq.AttentionOp) -> Results:
    q, k, v = (run.values[value] for value in (op.q, op.k, op.v))
    name = (op.state.data.replace(slm.LAYER, str(run.layer)), run.layer)
    if name not in run.states:
        run.states[name] = KeyValueState(element_of(op.k.type), k.shape[1], run.context, k.shape[2])
    state = run.states[name]
    if state.length != run.position:
        raise InterpreterError(f'two attentions own the state "{name[0]}"', op)
    scales = None if op.k_scale is None or op.v_scale is None else (run.values[op.k_scale], run.values[op.v_scale])
    state.append(k, v, scales)
    window = None if op.window is None else op.window.value.data
    softcap = None if op.softcap is None else float(op.softcap.value.data)
    return [attend(q, state, element_of(op.q.type) == "bf16", window, softcap)]


def _select_rows(run: SlmqInterpreter, op: slmq.SelectRowsOp) -> Results:
    x = run.values[op.x]
    return [x if run.all_rows else x[-1:]]


def _sample(run: SlmqInterpreter, op: slmq.SampleOp) -> Results:
    logits = run.values[op.logits]
    tokens = len(run.values[run.body.args[0]])
    run.logits = logits
    run.sampled = sample_token(logits[-1], run.settings, run.position + tokens - 1)
    return [np.array([run.sampled], np.int32)]


HANDLERS: dict[type[Operation], Callable[[SlmqInterpreter, Any], Results]] = {
    slm.LayersOp: _layers,
    slmq.StripsOp: _strips,
    slmq.EmbedOp: _embed,
    slmq.RmsNormOp: _rms_norm,
    slmq.QuantizeOp: _quantize,
    slmq.RoundOp: _round,
    slmq.MatmulOp: _matmul,
    slmq.RopeOp: _rope,
    slmq.ScaleOp: _scale,
    slmq.OffsetOp: _offset,
    slmq.ActivationOp: _activation,
    slmq.AddOp: _binary,
    slmq.SubOp: _binary,
    slmq.MulOp: _binary,
    slmq.DivOp: _binary,
    slmq.AttentionOp: _attention,
    slmq.SelectRowsOp: _select_rows,
    slmq.SampleOp: _sample,
}
