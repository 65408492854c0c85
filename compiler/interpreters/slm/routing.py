"""Softmax, choices and mixtures in floating point."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm
from compiler.interpreters.slm.run import Handlers, SlmRun


def softmax(run: SlmRun, op: slm.SoftmaxOp) -> None:
    x = run.values[op.x]
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    run.set_result(op, powers / powers.sum(axis=-1, keepdims=True))


def reduce_sum(run: SlmRun, op: slm.ReduceSumOp) -> None:
    run.set_result(op, run.values[op.x].sum(axis=-1, keepdims=True))


def top_k(run: SlmRun, op: slm.TopKOp) -> None:
    """Of equals the first: the sort is stable."""
    x = run.values[op.x]
    chosen = np.argsort(-x, axis=-1, kind="stable")[..., : op.count.value.data]
    kept = np.zeros_like(x)
    np.put_along_axis(kept, chosen, np.take_along_axis(x, chosen, axis=-1), axis=-1)
    run.values[op.result], run.values[op.chosen] = kept, chosen


def column(run: SlmRun, op: slm.ColumnOp) -> None:
    run.set_result(op, np.take(run.values[op.x], [op.number(run.expert)], axis=-1))


def mixture(run: SlmRun, op: slm.MixtureOp) -> None:
    """Each expert on the rows that chose it."""
    first = next(value for value in op.values if slm.has_tokens(value))
    total = np.zeros((len(run.values[first]), *slm.shape_of(op.result)[1:]), run.dtype)
    chosen = None if op.chosen is None else run.values[op.chosen]
    for expert in range(op.count):
        rows = np.arange(len(total)) if chosen is None else np.flatnonzero((chosen == expert).any(axis=-1))
        if not len(rows):
            continue
        run.expert = expert
        for argument, value in zip(op.block.args, op.values, strict=True):
            run.values[argument] = run.values[value][rows] if slm.has_tokens(value) else run.values[value]
        y = run.block(op.block)[0]
        if op.weights is not None:
            y = y * run.values[op.weights][rows, expert].reshape(-1, *[1] * (y.ndim - 1))
        total[rows] += y
    run.expert = None
    run.set_result(op, total)


ROUTING: Handlers = {
    slm.SoftmaxOp: softmax,
    slm.ReduceSumOp: reduce_sum,
    slm.TopKOp: top_k,
    slm.ColumnOp: column,
    slm.MixtureOp: mixture,
}
