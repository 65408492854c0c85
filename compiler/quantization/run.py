"""Brings a model into the formats of a scheme by a chain of methods, matrix by matrix, and hands out what has been made."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from compiler.dialects import slm
from compiler.errors import CompileError
from compiler.formats import Quantized, WeightFormat
from compiler.interpreters.slm.run import SlmRun
from compiler.program import Program, WeightStore
from compiler.quantization.calibration import observe, rows_of
from compiler.quantization.folding import FoldedWeights
from compiler.quantization.job import Job, Progress, Task
from compiler.quantization.methods import Chain, round_to_nearest
from compiler.quantization.rounding import kept_mask, quantize
from compiler.quantization.uses import integer_formats, uses_of
from compiler.schemes import Scheme

F32 = NDArray[np.float32]
BLOCK_ELEMENTS = 1 << 18
"""Rounded at once: what a step makes of them stays in the cache."""


class Sink(Protocol):
    """Takes the weights as they are made, in any order; threads may call it at once."""

    def put_rows(self, name: str, first: int, part: Quantized) -> None:
        """Rows [first, ..) of a matrix in its quantised format."""
        ...

    def put_values(self, name: str, first: int, values: F32) -> None:
        """Elements [first, ..) of another weight, flat."""
        ...


@dataclass(frozen=True)
class Prepared:
    """A model with all that is folded folded. formats: of the matrices that become integers; dtypes: of the other weights, as
    they are stored; aliases: weights that share the storage of another one."""

    job: Job
    chain: Chain

    @property
    def formats(self) -> dict[str, WeightFormat]:
        return self.job.formats

    @property
    def aliases(self) -> dict[str, str]:
        weights = self.job.weights
        targets = {name: weights.alias_of(name) for name in weights.names() if name not in self.formats}
        return {name: target for name, target in targets.items() if target is not None and target not in self.formats}

    @property
    def dtypes(self) -> dict[str, str]:
        weights, aliases = self.job.weights, self.aliases
        own = (name for name in weights.names() if name not in self.formats and name not in aliases)
        return {name: weights.storage_dtype(name) for name in own}


def prepare(program: Program, scheme: Scheme, chain: Chain, tokens: Sequence[int], progress: Progress) -> Prepared:
    """Checks formats and methods against the model and folds. Raises CompileError, naming the weight or the method."""
    uses = uses_of(program.module)
    formats = integer_formats(program, scheme.for_weights(program.weights), uses)
    if chain.pruning is not None and not any(form.sparse for form in formats.values()):
        message = f"method {chain.pruning.name} prunes to 2:4, and scheme {scheme.name} has no sparse weights"
        raise CompileError(message, hint="name a scheme with -s24")
    job = Job(program, FoldedWeights(program.weights), formats, uses, tokens, progress)
    if chain.needs_tokens or any(method.fold for method in chain.methods):
        _check_weights(job)
    for method in chain.methods:
        if method.fold is not None:
            progress.say(f"{method.name}: look for factors" if method.calibrated else method.name)
            method.fold(job)
    return Prepared(job, chain)


def _check_weights(job: Job) -> None:
    """A weight that is no number would spoil the factors of others, and those would be blamed."""
    job.progress.say("check weights")
    names = job.program.weights.names()
    for count, name in enumerate(names):
        values = job.program.weights.load(name).reshape(-1)
        for first in range(0, len(values), BLOCK_ELEMENTS):
            check_finite(values[first : first + BLOCK_ELEMENTS], name)
        job.progress.count(count + 1, len(names))


def produce(prepared: Prepared, sink: Sink) -> None:
    """Rounds the matrices and hands all weights to the sink. Raises CompileError for weights that are not finite."""
    job = prepared.job
    rest = list(job.formats)
    if prepared.chain.rounds_with_inputs and job.formats:
        done = _Calibrated(prepared, sink).run()
        rest = [name for name in job.formats if name not in done]
        if rest:
            shown = ", ".join(rest[:5]) + (f" and {len(rest) - 5} more" if len(rest) > 5 else "")
            job.notes.append(f"the calibration gave no inputs to {shown}: rounded to nearest")
    dtypes = prepared.dtypes
    total = len(rest) + len(dtypes)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        job.progress.say("round and write" if rest else "write")
        for done_count, name in enumerate([*rest, *dtypes]):
            if name in job.formats:
                _stream_matrix(job, name, sink, threads)
            else:
                _stream_values(job.weights, name, sink, threads)
            job.progress.count(done_count + 1, total)


def _stream_matrix(job: Job, name: str, sink: Sink, threads: ThreadPoolExecutor) -> None:
    """Round to nearest, by blocks of rows: a row depends on no other."""
    matrix, form = job.weights.load(name), job.formats[name]

    def block(first: int, stop: int) -> None:
        part = matrix[first:stop]
        check_finite(part, name)
        sink.put_rows(name, first, quantize(part, form, name))

    _by_blocks(threads, len(matrix), max(1, BLOCK_ELEMENTS // matrix.shape[1]), block)


def _stream_values(weights: WeightStore, name: str, sink: Sink, threads: ThreadPoolExecutor) -> None:
    values = weights.load(name).reshape(-1)

    def block(first: int, stop: int) -> None:
        part = values[first:stop]
        check_finite(part, name)
        sink.put_values(name, first, part)

    _by_blocks(threads, len(values), BLOCK_ELEMENTS, block)


def _by_blocks(threads: ThreadPoolExecutor, count: int, step: int, block: Callable[[int, int], None]) -> None:
    pieces = [threads.submit(block, first, min(first + step, count)) for first in range(0, count, step)]
    for piece in pieces:
        piece.result()


def check_finite(values: F32, name: str) -> None:
    """Raises CompileError if a weight holds NaN or infinity."""
    if not np.isfinite(values).all():
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise CompileError(f'weight "{name}" holds {kind}, which no format can stand for')


class _Calibrated:
    """A pass over the calibration tokens that rounds each matrix when it comes to it; what follows sees the rounded one."""

    def __init__(self, prepared: Prepared, sink: Sink):
        self._job, self._chain, self._sink = prepared.job, prepared.chain, sink
        self._weights = _Replaced(prepared.job.weights)
        self._done: set[str] = set()

    def run(self) -> set[str]:
        """The names of the matrices that were rounded."""
        job = self._job
        job.progress.say(f"{self._chain.name}: round")
        observe(
            job.program,
            self._weights,
            job.tokens,
            before={slm.LinearOp: self._before},
            after={slm.LinearOp: self._after},
        )
        return self._done

    def _before(self, run: SlmRun, op: Operation) -> None:
        assert isinstance(op, slm.LinearOp)
        name = op.weight.at(run.layer, run.expert)
        if name not in self._job.formats or name in self._done:
            return
        rounded = self._round(name, rows_of(run, op.x))
        self._sink.put_rows(name, 0, rounded)
        self._weights.current = (name, rounded.values())
        if not self._job.used_once(name):
            self._weights.kept[name] = rounded
        self._done.add(name)
        self._job.progress.count(len(self._done), len(self._job.formats))

    def _after(self, run: SlmRun, op: Operation) -> None:
        self._weights.current = None

    def _round(self, name: str, inputs: F32) -> Quantized:
        matrix, form = self._job.weights.load(name), self._job.formats[name]
        check_finite(matrix, name)
        pruning = self._chain.pruning
        kept = None
        if form.sparse:
            importance = (
                np.abs(matrix) if pruning is None or pruning.importance is None else pruning.importance(matrix, inputs)
            )
            kept = kept_mask(importance)
        task = Task(name, matrix, form, inputs, kept)
        return self._chain.rounded(task) if len(inputs) else round_to_nearest(task)


class _Replaced(FoldedWeights):
    """The weights, with one matrix replaced by what it was rounded to, and those that are used again."""

    def __init__(self, base: FoldedWeights):
        super().__init__(base)
        self.current: tuple[str, F32] | None = None
        self.kept: dict[str, Quantized] = {}

    def load(self, name: str) -> F32:
        if self.current is not None and self.current[0] == name:
            return self.current[1]
        return self.kept[name].values() if name in self.kept else super().load(name)
