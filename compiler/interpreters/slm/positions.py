"""Positions, and the sinusoid of them."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm
from compiler.dialects.slm import shape_of
from compiler.interpreters.sinusoid import sinusoid as sinusoid_rows
from compiler.interpreters.slm.run import Handlers, SlmRun


def positions(run: SlmRun, op: slm.PositionsOp) -> None:
    run.values[op.result] = np.arange(len(run.tokens), dtype=np.int64) + op.offset.value.data


def sinusoid(run: SlmRun, op: slm.SinusoidOp) -> None:
    rows = sinusoid_rows(run.values[op.positions], shape_of(op.result)[1])
    run.set_result(op, rows.astype(run.dtype))


POSITION_HANDLERS: Handlers = {slm.PositionsOp: positions, slm.SinusoidOp: sinusoid}
