"""GPTQ: columns are rounded one after the other, and those that follow make up for the error.

Frantar, Ashkboos, Hoefler, Alistarh: GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers, ICLR
2023, algorithm 1. Group scales come from the weights as they are when the group begins. With `act-order` the columns with
the largest inputs come first, and group scales are those of the weights before the first step, groups being consecutive columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.formats import LARGEST, OFFSET_LEVELS, Elements, Quantized, WeightFormat
from compiler.microscaling import MINIFLOATS, scale_codes
from compiler.quantization.job import Mask, Method, Task
from compiler.quantization.rounding import quantize

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
DAMPING = 0.01
"""Added to the diagonal, as a share of its mean."""
BLOCK_COLUMNS = 32
"""Columns whose errors reach the columns behind the block in one product. It divides every group: where one begins, the errors
of all columns before have arrived."""
TRIES = 4


def round_gptq(task: Task) -> Quantized:
    return rounded(task, act_order=False)


def round_ordered(task: Task) -> Quantized:
    return rounded(task, act_order=True)


def rounded(task: Task, act_order: bool) -> Quantized:
    """The matrix in its format. Raises CompileError if the inputs are no numbers."""
    weights = task.matrix.astype(np.float32, copy=False)
    left = weights if task.kept is None else np.where(task.kept, weights, np.float32(0))
    hessian = hessian_of(task.inputs, task.name)
    order = np.argsort(-np.diag(hessian), kind="stable") if act_order else np.arange(len(hessian))
    grid = _Grid.of(task.form, left, task.name, fixed=act_order)
    update = inverse_factor(hessian[np.ix_(order, order)], task.name)
    _run(weights, grid, order, update, task.kept)
    return grid.result()


def hessian_of(inputs: F32, name: str) -> F64:
    """X X^T, [K, K]; a column without inputs gets 1, so that it is rounded by itself."""
    hessian = (inputs.T @ inputs).astype(np.float64)
    if not np.isfinite(hessian).all():
        raise CompileError(f'the calibration gives inputs of weight "{name}" that are not finite')
    diagonal = np.einsum("ii->i", hessian)
    diagonal[diagonal == 0] = 1
    return hessian


def inverse_factor(hessian: F64, name: str) -> F64:
    """The upper triangular U with U^T U = (H + damping)^-1.

    Of the reversed matrix L L^T the reversed L is upper triangular, R R^T = H, and U is its inverse: the inverse of H is not formed.
    """
    damping = DAMPING * float(np.diag(hessian).mean())
    for attempt in range(TRIES):
        damped = hessian + np.eye(len(hessian)) * damping * 10**attempt
        try:
            return np.triu(np.linalg.inv(np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]))
        except np.linalg.LinAlgError:
            continue
    raise CompileError(f'the inputs of weight "{name}" that the calibration gives are too much alike for gptq')


def _run(weights: F32, grid: _Grid, order: NDArray[np.int64], update: F64, kept: Mask | None) -> None:
    """Algorithm 1. A weight that is not kept is rounded to 0, and others make up for that too."""
    factor = update.astype(np.float32)
    work = weights[:, order]
    for first, stop in _blocks(len(order)):
        errors = np.zeros((len(work), stop - first), np.float32)
        for column in range(first, stop):
            place = int(order[column])
            grid.enter(place, work, kept)
            values = grid.take(place, work[:, column], None if kept is None else kept[:, place])
            error = (work[:, column] - values) / factor[column, column]
            work[:, column:stop] -= np.outer(error, factor[column, column:stop])
            errors[:, column - first] = error
        work[:, stop:] -= errors @ factor[first:stop, stop:]


def _blocks(columns: int) -> Iterator[tuple[int, int]]:
    for first in range(0, columns, BLOCK_COLUMNS):
        yield first, min(first + BLOCK_COLUMNS, columns)


@dataclass
class _Grid:
    """The integers or codes so far, and the scales of the groups that have begun."""

    form: WeightFormat
    name: str
    fixed: bool
    q: Elements
    scales: F32
    offsets: F32 | None

    @staticmethod
    def of(form: WeightFormat, weights: F32, name: str, fixed: bool) -> _Grid:
        start = quantize(weights, form, name)
        rows = len(weights)
        scales = start.scale_values().reshape(rows, -1)
        offsets = None if start.offsets is None else start.offsets.astype(np.float32)
        return _Grid(form, name, fixed or form.per_row, np.zeros_like(start.q), scales, offsets)

    def enter(self, place: int, work: F32, kept: Mask | None) -> None:
        """Where a group begins, its scales are made from the weights as they are now, `work` [N, K] in the order of places."""
        if self.fixed or place % self.form.group:
            return
        group, columns = place // self.form.group, slice(place, place + self.form.group)
        begun = work[:, columns] if kept is None else np.where(kept[:, columns], work[:, columns], np.float32(0))
        now = quantize(begun, replace(self.form, sparse=False), self.name)
        self.scales[:, group] = now.scale_values()[:, 0]
        if self.offsets is not None and now.offsets is not None:
            self.offsets[:, group] = now.offsets[:, 0]

    def take(self, place: int, column: F32, kept: Mask | None) -> F32:
        """Rounds a column [N] to the grid; the values that it stands for then."""
        group = 0 if self.form.per_row else place // self.form.group
        scales = self.scales[:, group]
        if self.offsets is not None:
            levels = np.clip(np.rint((column - self.offsets[:, group]) / scales), 0, OFFSET_LEVELS)
            self.q[:, place] = levels - (OFFSET_LEVELS + 1) // 2
            return levels * scales + self.offsets[:, group]
        if self.form.is_microscaled:
            kind = MINIFLOATS[self.form.element]
            self.q[:, place] = codes = kind.codes_of(column / scales)
            return kind.values[codes] * scales
        largest = LARGEST[self.form.element]
        levels = np.clip(np.rint(column / scales), -largest, largest)
        if kept is not None:
            levels = np.where(kept, levels, np.float32(0))
        self.q[:, place] = levels
        return levels * scales

    def result(self) -> Quantized:
        if self.form.per_row:
            return Quantized(self.form, self.q, self.scales[:, 0])
        if self.form.is_microscaled:
            return Quantized(self.form, self.q, scale_codes(self.scales))
        offsets = None if self.offsets is None else self.offsets.astype(np.float16)
        return Quantized(self.form, self.q, self.scales.astype(np.float16), offsets)


GPTQ = Method("gptq", "later columns make up for the rounding of earlier ones", "Frantar et al. 2023", round=round_gptq)
GPTQ_ORDERED = Method(
    "gptq-act-order", "gptq, columns with large inputs first", "Frantar et al. 2023", round=round_ordered
)
