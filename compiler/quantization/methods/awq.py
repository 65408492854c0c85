"""AWQ: factors for the columns that large inputs meet, and limits for the groups, both by search.

Lin, Tang, Tang, Yang, Chen, Wang, Xiao, Dang, Gan, Han: AWQ: Activation-aware Weight Quantization for On-Device LLM
Compression and Acceleration, MLSys 2024, equations 4 and 5. The error is that of the weights alone, on inputs as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compiler.formats import Quantized, WeightFormat
from compiler.quantization.job import Job, Method, Task
from compiler.quantization.methods.scaling import fold_channels
from compiler.quantization.rounding import quantize
from compiler.quantization.structure import Channels

F32 = NDArray[np.float32]
STEPS = 20
"""alpha = 0, 1/20 .. 19/20."""
SAMPLE_ROWS = 256
"""Rows that the errors are measured on."""
CLIP_STEPS, LEAST_CLIP = 10, 0.5
LEAST_MEAN = 1e-4


def candidates(mean: F32) -> list[F32]:
    """mean|X|^alpha for each alpha of the grid, with the geometric mean of the extremes brought to 1; the first is all 1."""
    found: list[F32] = []
    for step in range(STEPS):
        factors = np.maximum(mean, LEAST_MEAN) ** np.float32(step / STEPS)
        found.append((factors / np.sqrt(factors.max() * factors.min())).astype(np.float32))
    return found


def fold(job: Job) -> None:
    def choose(place: Channels, rows: F32, names: list[str]) -> F32 | None:
        sample = sampled(rows)
        grid = candidates(place.by_factor(np.abs(rows).mean(axis=0)).mean(axis=0))
        errors = np.zeros(STEPS)
        for name in names:
            weight = job.weights.load(name)
            for step, factors in enumerate(grid):
                errors[step] += scaled_error(weight, job.formats[name], sample, place.spread(factors), name)
        best = int(errors.argmin())
        return None if best == 0 else grid[best]

    fold_channels(job, "awq", choose)


def scaled_error(weight: F32, form: WeightFormat, rows: F32, factors: F32, name: str) -> float:
    """The squared error of the outputs if the columns are multiplied by factors, rounded, and divided."""
    rounded = quantize(weight * factors, form, name).values()
    return float(np.square(rows @ (rounded / factors - weight).T, dtype=np.float64).sum())


def sampled(rows: F32) -> F32:
    """At most SAMPLE_ROWS rows, evenly spread."""
    return rows[:: -(-len(rows) // SAMPLE_ROWS)]


def round_clipped(task: Task) -> Quantized:
    """To nearest, each group with the limit that leaves the least error of its part of the outputs."""
    form = task.form
    if not form.group:
        return quantize(task.matrix, form, task.name)
    matrix = task.matrix if task.kept is None else np.where(task.kept, task.matrix, np.float32(0))
    grouped = matrix.reshape(len(matrix), -1, form.group)
    rows = sampled(task.inputs).reshape(-1, *grouped.shape[1:])
    best, least = matrix, np.full(grouped.shape[:2], np.inf)
    for step in range(CLIP_STEPS):
        share = np.float32(1 - step * (1 - LEAST_CLIP) / CLIP_STEPS)
        clipped = clipped_to(grouped, share, form).reshape(matrix.shape)
        difference = quantize(clipped, form, task.name).values() - matrix
        errors = _group_errors(difference.reshape(grouped.shape), rows)
        better = errors < least
        least = np.where(better, errors, least)
        best = np.where(np.repeat(better, form.group, axis=1), clipped, best)
    return quantize(best, form, task.name)


def clipped_to(grouped: F32, share: np.float32, form: WeightFormat) -> F32:
    """Groups [N, G, g] limited to a share of their largest size, or of both ends where the format has offsets."""
    if form.offsets:
        lowest, highest = grouped.min(axis=2, keepdims=True), grouped.max(axis=2, keepdims=True)
        return np.clip(grouped, share * lowest, share * highest)
    limit = share * np.abs(grouped).max(axis=2, keepdims=True)
    return np.clip(grouped, -limit, limit)


def _group_errors(difference: F32, rows: F32) -> NDArray[np.float64]:
    """[N, G]: the squared error that each group of differences [N, G, g] makes on rows [T, G, g]."""
    errors = np.empty(difference.shape[:2])
    for group in range(difference.shape[1]):
        part = difference[:, group] @ rows[:, group].T
        errors[:, group] = np.einsum("nt,nt->n", part, part)
    return errors


AWQ = Method(
    "awq",
    "scales up the columns that large inputs meet, limits groups",
    "Lin et al. 2024",
    fold=fold,
    calibrated=True,
    round=round_clipped,
)
