"""What smoothquant and awq share: one pass over the calibration tokens that chooses factors for every place of Channels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from compiler.dialects import slm
from compiler.interpreters.slm.run import SlmRun
from compiler.quantization.calibration import observe, rows_of
from compiler.quantization.job import Job
from compiler.quantization.structure import Channels, find_channels

F32 = NDArray[np.float32]
Choose = Callable[[Channels, F32, list[str]], F32 | None]
"""Channels, the rows [T, K] that were seen there, and the consumers in quantised formats -> factors, None: leave them."""


def fold_channels(job: Job, method: str, choose: Choose) -> None:
    """Folds the chosen factors, all at once behind the pass: what it sees are the values of the model as it was."""
    places = find_channels(job.program.module)
    by_op = {place.op: place for place in places}
    chosen: dict[tuple[Operation, int | None, int | None], F32] = {}
    untouchable: set[str] = set()
    total = sum(len(job.places(place.producer)) for place in places)
    seen: set[tuple[Operation, int | None, int | None]] = set()

    def look(run: SlmRun, op: Operation) -> None:
        place = by_op.get(op)
        key = (op, run.layer, run.expert)
        if place is None or key in seen:
            return
        seen.add(key)
        job.progress.count(len(seen), total)
        names = [name for name in place.consumer_names(run.layer, run.expert) if name in job.formats]
        if not names:
            return
        if not place.foldable(job, run.layer, run.expert):
            untouchable.update(names)
            return
        factors = choose(place, rows_of(run, place.value), names)
        if factors is not None:
            chosen[key] = factors

    observe(job.program, job.weights, job.tokens, after=dict.fromkeys({type(place.op) for place in places}, look))
    for (op, layer, expert), factors in chosen.items():
        by_op[op].fold(job, factors, layer, expert)
    _tell(job, method, places, untouchable)


def _tell(job: Job, method: str, places: list[Channels], untouchable: set[str]) -> None:
    readers = set(chain.from_iterable(place.consumers for place in places))
    behind_nothing = sorted(
        {
            use.op.weight.key.data
            for name in job.formats
            for use in job.uses[name]
            if isinstance(use.op, slm.LinearOp) and use.op not in readers
        }
    )
    if behind_nothing:
        job.notes.append(f"{method}: nothing before {', '.join(behind_nothing)} takes factors; they stay as they are")
    if untouchable:
        job.notes.append(f"{method}: {', '.join(sorted(untouchable))} share weights with others; they stay as they are")
