"""Operations with a state of fixed size: docs/numerics.md section 12."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation

from compiler.dialects import slm, slmq
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slmq.run import Handlers, Results, SlmqRun
from compiler.interpreters.slmq_functions import F32
from compiler.interpreters.slmq_recurrent import RecurrentState, causal_conv, selective_scan


def advance(
    run: SlmqRun, op: Operation, state: StringAttr, start: F32, tokens: int, step: Callable[[F32], tuple[F32, F32]]
) -> F32:
    """Runs `step` from the op's state, at first `start`; it gives a result and the state behind `tokens` more tokens."""
    name = (state.data.replace(slm.LAYER, str(run.layer)), run.layer)
    before = run.states.get(name, RecurrentState(0, start))
    if not isinstance(before, RecurrentState) or before.length != run.position:
        raise InterpreterError(f'two operations own the state "{name[0]}"', op)
    result, values = step(before.values)
    run.states[name] = RecurrentState(run.position + tokens, values)
    return result


def _causal_conv(run: SlmqRun, op: slmq.CausalConvOp) -> Results:
    value = run.values[op.x]
    x = value.reshape(len(value), -1)
    weight = run.prepared.vector(run.key(op.weight)).reshape(op.weight.shape)
    bias = None if op.bias is None else run.prepared.vector(run.key(op.bias))

    def step(before: F32) -> tuple[F32, F32]:
        rows = np.concatenate([before, x])
        return causal_conv(rows, weight, bias), rows[len(x) :]

    y = advance(run, op, op.state, np.zeros((op.taps - 1, x.shape[1]), np.float32), len(x), step)
    return [y.reshape(value.shape)]


def _selective_scan(run: SlmqRun, op: slmq.SelectiveScanOp) -> Results:
    u, dt, a, b, c = (run.values[value] for value in (op.u, op.dt, op.a, op.b, op.c))
    return [advance(run, op, op.state, np.zeros_like(a), len(u), lambda h: selective_scan(u, dt, a, b, c, h))]


RECURRENT: Handlers = {slmq.CausalConvOp: _causal_conv, slmq.SelectiveScanOp: _selective_scan}
