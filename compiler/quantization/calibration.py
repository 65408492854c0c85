"""Runs of the float interpreter over calibration tokens, with an eye on what operations read and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation, SSAValue

from compiler.interpreters.slm.operations import HANDLERS
from compiler.interpreters.slm.run import SlmRun
from compiler.program import Program, WeightStore

F32 = NDArray[np.float32]
Observer = Callable[[SlmRun, Operation], None]
LEAST_TOKENS = 16
"""Fewer say nothing about the inputs of a matrix."""
MOST_TOKENS = 2048


def observe(
    program: Program,
    weights: WeightStore,
    tokens: Sequence[int],
    *,
    before: Mapping[type[Operation], Observer] | None = None,
    after: Mapping[type[Operation], Observer] | None = None,
) -> None:
    """Runs the model in float32, calling the observers before and after operations of their types."""
    handlers = dict(HANDLERS)
    for observers, first in ((before or {}, True), (after or {}, False)):
        for kind, observer in observers.items():
            handlers[kind] = _observed(handlers[kind], observer, first)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        SlmRun(weights, np.asarray(tokens, np.int64), np.float32, handlers).run(program.module)


def rows_of(run: SlmRun, value: SSAValue) -> F32:
    """A value [T, ..] of the run as rows [T, K]."""
    found = run.values[value]
    return np.asarray(found, np.float32).reshape(len(found), -1)


def _observed(handler: Callable[[SlmRun, Operation], None], observer: Observer, first: bool) -> Observer:
    def run_op(run: SlmRun, op: Operation) -> None:
        if first:
            observer(run, op)
        handler(run, op)
        if not first:
            observer(run, op)

    return run_op
