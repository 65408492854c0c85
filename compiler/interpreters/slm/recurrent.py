"""Convolution and scan over a whole sequence, one formula each."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm
from compiler.interpreters.slm.run import Handlers, SlmRun


def causal_conv(run: SlmRun, op: slm.CausalConvOp) -> None:
    """A sum over the taps of the rows, shifted; rows before the first are 0."""
    x = run.values[op.x].reshape(len(run.tokens), -1)
    weight = run.load(op.weight).astype(run.dtype)
    taps = weight.shape[1]
    padded = np.concatenate([np.zeros((taps - 1, x.shape[1]), run.dtype), x])
    y = sum(padded[tap : tap + len(x)] * weight[:, tap] for tap in range(taps))
    if op.bias is not None:
        y = y + run.load(op.bias).reshape(-1)
    run.set_result(op, np.asarray(y, run.dtype))


def selective_scan(run: SlmRun, op: slm.SelectiveScanOp) -> None:
    u, dt, a, b, c = (run.values[value] for value in (op.u, op.dt, op.a, op.b, op.c))
    y, h = np.empty_like(u), np.zeros_like(a)
    for token in range(len(u)):
        step = dt[token][:, None]
        h = np.exp(step * a) * h + step * u[token][:, None] * b[token]
        y[token] = h @ c[token]
    run.set_result(op, y)


RECURRENT: Handlers = {slm.CausalConvOp: causal_conv, slm.SelectiveScanOp: selective_scan}
