"""Softmax, choices and mixtures: docs/numerics.md sections 8 and 11."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm, slmq
from compiler.interpreters import slmq_routing as kernels
from compiler.interpreters.slmq.run import Handlers, Results, SlmqRun
from compiler.interpreters.slmq_kernels import sum_fp


def _softmax(run: SlmqRun, op: slmq.SoftmaxOp) -> Results:
    return [kernels.softmax(run.values[op.x])]


def _reduce_sum(run: SlmqRun, op: slmq.ReduceSumOp) -> Results:
    return [sum_fp(run.values[op.x])]


def _top_k(run: SlmqRun, op: slmq.TopKOp) -> Results:
    return kernels.top_k(run.values[op.x], op.count.value.data)


def _column(run: SlmqRun, op: slmq.ColumnOp) -> Results:
    return [np.take(run.values[op.x], [op.number(run.expert)], axis=-1)]


def _mixture(run: SlmqRun, op: slm.MixtureOp) -> Results:
    first = next(value for value in op.values if slm.has_tokens(value))
    total = np.zeros((len(run.values[first]), *slm.shape_of(op.result)[1:]), np.float32)
    chosen = None if op.chosen is None else run.values[op.chosen]
    for expert in range(op.count):
        rows = np.arange(len(total)) if chosen is None else np.flatnonzero((chosen == expert).any(axis=-1))
        if not len(rows):
            continue
        run.expert = expert
        for argument, value in zip(op.block.args, op.values, strict=True):
            run.values[argument] = run.values[value][rows] if slm.has_tokens(value) else run.values[value]
        y = run.run_block(op.block)[0]
        if op.weights is not None:
            y = y * run.values[op.weights][rows, expert].reshape(-1, *[1] * (y.ndim - 1))
        total[rows] = total[rows] + y
    run.expert = None
    return [total]


ROUTING: Handlers = {
    slmq.SoftmaxOp: _softmax,
    slmq.ReduceSumOp: _reduce_sum,
    slmq.TopKOp: _top_k,
    slmq.ColumnOp: _column,
    slm.MixtureOp: _mixture,
}
