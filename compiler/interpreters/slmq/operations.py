"""What each operation means, bit by bit: docs/numerics.md."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from xdsl.ir import Operation

from compiler.dialects import slm, slmq
from compiler.dialects.slm import shape_of
from compiler.dialects.slmq import element_of
from compiler.interpreters import slmq_kernels as kernels
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.rotary import rotary_tables, table_lengths
from compiler.interpreters.sampling import sample_token
from compiler.interpreters.slmq.images import IMAGE_HANDLERS
from compiler.interpreters.slmq.norms import NORM_HANDLERS
from compiler.interpreters.slmq.positions import POSITION_HANDLERS
from compiler.interpreters.slmq.recurrent import RECURRENT
from compiler.interpreters.slmq.routing import ROUTING
from compiler.interpreters.slmq.run import Handlers, Results, SlmqRun
from compiler.interpreters.slmq_attention import Int4State, KeyValueState, attend
from compiler.interpreters.slmq_formats import matmul_quantized
from compiler.interpreters.slmq_functions import ACTIVATIONS, F32, rounded_to

BINARY: dict[type[Operation], Callable[[F32, F32], F32]] = {
    slmq.AddOp: np.add,
    slmq.SubOp: np.subtract,
    slmq.MulOp: np.multiply,
    slmq.DivOp: np.divide,
}


def _layers(run: SlmqRun, op: slm.LayersOp) -> Results:
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


def _strips(run: SlmqRun, op: slmq.StripsOp) -> Results:
    return run.run_block(op.body.block)


def _embed(run: SlmqRun, op: slmq.EmbedOp) -> Results:
    table, tokens = run.prepared.table(run.key(op.weight), op.format.data), run.values[op.tokens]
    if tokens.min() < 0 or tokens.max() >= len(table):
        raise InterpreterError(f"tokens must be 0 .. {len(table) - 1}, found {tokens.min()} .. {tokens.max()}", op)
    return [table[tokens]]


def _quantize(run: SlmqRun, op: slmq.QuantizeOp) -> Results:
    x = run.values[op.x]
    q, scale = kernels.quantize_rows(x.reshape(*x.shape[: x.ndim - op.axes.value.data], -1))
    return [q.reshape(x.shape), scale]


def _round(run: SlmqRun, op: slmq.RoundOp) -> Results:
    return [rounded_to(element_of(op.result.type), run.values[op.x])]


def _group_sums(run: SlmqRun, op: slmq.GroupSumsOp) -> Results:
    x = run.values[op.x]
    groups = x.reshape(len(x), -1, op.group.value.data).astype(np.float32, copy=False)
    return [kernels.sum_fp(groups)[..., 0]]


def _matmul(run: SlmqRun, op: slmq.MatmulOp) -> Results:
    stated, name = shape_of(op.result)[1:], run.key(op.weight)
    x = run.values[op.x].reshape(len(run.values[op.x]), -1)
    rows, form = prod(stated), op.weight_format
    if not form.is_quantized:
        columns = run.prepared.columns(name, rows, form.element)
        y = kernels.matmul_fp(np.ascontiguousarray(x.T), columns)
    else:
        sums = None if op.sums is None else run.values[op.sums]
        y = matmul_quantized(x, run.prepared.quantized(name, rows, form), form.group, sums)
    if op.scale is not None:
        y = y * run.values[op.scale].reshape(len(x), 1)
    if op.bias is not None:
        y = y + run.prepared.vector(run.key(op.bias))
    return [y.reshape(len(x), *stated)]


def _rope(run: SlmqRun, op: slmq.RopeOp) -> Results:
    fitting = next(length for length in table_lengths(op.rotary, run.context) if len(run.tokens) <= length)
    key = (op.rotary, fitting)
    if key not in run.rotary:
        run.rotary[key] = rotary_tables(op.rotary, fitting, fitting)
    x = run.values[op.x]
    cos, sin = (table[run.position : run.position + len(x)] for table in run.rotary[key])
    return [kernels.rope(x, cos, sin)]


def _scale(run: SlmqRun, op: slmq.ScaleOp) -> Results:
    return [run.values[op.x] * np.float32(slm.at_layer(op.factor, op.layer_factors, run.layer))]


def _offset(run: SlmqRun, op: slmq.OffsetOp) -> Results:
    return [run.values[op.x] + np.float32(float(op.constant.value.data))]


def _activation(run: SlmqRun, op: slmq.ActivationOp) -> Results:
    return [ACTIVATIONS[op.kind.data](run.values[op.x])]


def _binary(run: SlmqRun, op: Operation) -> Results:
    lhs, rhs = (run.values[value] for value in op.operands)
    return [BINARY[type(op)](lhs, rhs)]


def _tensor(run: SlmqRun, op: slmq.TensorOp) -> Results:
    return [run.prepared.vector(run.key(op.weight)).reshape(shape_of(op.result))]


def _attention(run: SlmqRun, op: slmq.AttentionOp) -> Results:
    q, k, v = (run.values[value] for value in (op.q, op.k, op.v))
    name = (op.state.data.replace(slm.LAYER, str(run.layer)), run.layer)
    if name not in run.states:
        groups, head_dim = k.shape[1:]
        if op.int4 is not None:
            run.states[name] = Int4State(groups, head_dim)
        else:
            run.states[name] = KeyValueState(element_of(op.k.type), groups, run.context, head_dim)
    state = run.states[name]
    if not isinstance(state, KeyValueState) or state.length != run.position:
        raise InterpreterError(f'two operations own the state "{name[0]}"', op)
    scales = None if op.k_scale is None or op.v_scale is None else (run.values[op.k_scale], run.values[op.v_scale])
    state.append(k, v, scales)
    window = None if op.window is None else op.window.value.data
    softcap = None if op.softcap is None else float(op.softcap.value.data)
    return [attend(q, state, element_of(op.q.type), window, softcap)]


def _select_rows(run: SlmqRun, op: slmq.SelectRowsOp) -> Results:
    x = run.values[op.x]
    return [x if run.all_rows else x[-1:]]


def _sample(run: SlmqRun, op: slmq.SampleOp) -> Results:
    logits = run.values[op.logits]
    run.logits = logits
    run.sampled = sample_token(logits[-1], run.settings, run.position + run.chunk_tokens - 1)
    return [np.array([run.sampled], np.int32)]


HANDLERS: Handlers = {
    slm.LayersOp: _layers,
    slmq.StripsOp: _strips,
    slmq.EmbedOp: _embed,
    **POSITION_HANDLERS,
    **NORM_HANDLERS,
    slmq.QuantizeOp: _quantize,
    slmq.RoundOp: _round,
    slmq.GroupSumsOp: _group_sums,
    slmq.MatmulOp: _matmul,
    slmq.RopeOp: _rope,
    slmq.ScaleOp: _scale,
    slmq.OffsetOp: _offset,
    slmq.ActivationOp: _activation,
    slmq.AddOp: _binary,
    slmq.SubOp: _binary,
    slmq.MulOp: _binary,
    slmq.DivOp: _binary,
    slmq.TensorOp: _tensor,
    slmq.AttentionOp: _attention,
    slmq.SelectRowsOp: _select_rows,
    slmq.SampleOp: _sample,
    **ROUTING,
    **RECURRENT,
    **IMAGE_HANDLERS,
}
