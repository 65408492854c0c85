"""Rows that depend on the position alone, bit by bit."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slmq
from compiler.dialects.slm import shape_of
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.sinusoid import sinusoid
from compiler.interpreters.slmq.run import Handlers, Results, SlmqRun


def _position_rows(run: SlmqRun, op: slmq.PositionRowsOp) -> Results:
    table = run.prepared.table(run.key(op.weight), op.format.data)
    first = run.position + op.offset.value.data
    end = first + run.chunk_tokens
    if end > len(table):
        raise InterpreterError(f"position {end - 1 - op.offset.value.data} is beyond a table of {len(table)} rows", op)
    return [table[first:end]]


def _sinusoid(run: SlmqRun, op: slmq.SinusoidOp) -> Results:
    first = run.position + op.offset.value.data
    positions = np.arange(first, first + run.chunk_tokens)
    return [sinusoid(positions, shape_of(op.result)[1]).astype(np.float32)]


POSITION_HANDLERS: Handlers = {slmq.PositionRowsOp: _position_rows, slmq.SinusoidOp: _sinusoid}
