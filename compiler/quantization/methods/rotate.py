"""Rotations: the residual, and the values of each head, in another orthogonal basis, where no number stands out.

Ashkboos, Mohtashami, Croci, Li, Cameron, Jaggi, Alistarh, Hoefler, Hensman: QuaRot: Outlier-Free 4-Bit Inference in Rotated LLMs,
NeurIPS 2024, sections 4.1 (stage 1a and 1b, as far as the rotations are folded into weights). An rms norm without weights is the
same in every basis, so its weights go into the matrices behind it first.
"""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm
from compiler.errors import CompileError
from compiler.quantization.folding import F32, Edit, scale_columns
from compiler.quantization.job import Job, Method
from compiler.quantization.methods.hadamard import Rotation
from compiler.quantization.residual import Residual, find_residual
from compiler.quantization.structure import Channels, find_channels
from compiler.quantization.uses import Use

SEED = 20240330


def fold(job: Job) -> None:
    """Raises CompileError for a model whose residual cannot be rotated."""
    rng = np.random.default_rng(SEED)
    residual = find_residual(job.program.module)
    _check(job, residual)
    _fold_norms(job, residual)
    _rotate_residual(job, residual, Rotation.of(residual.size, rng))
    _rotate_values(job, rng)


def _check(job: Job, residual: Residual) -> None:
    """All weights that change are used by one operation only."""
    ops = [*residual.tables, *residual.writers, *residual.readers]
    ops += [op for norm, readers in residual.norms for op in (norm, *readers)]
    for op in ops:
        for use in job.places(op):
            name = op.weight.at(use.layer, use.expert)
            if not job.used_once(name):
                raise CompileError(
                    f'weight "{name}" is used in several places, so the residual cannot be rotated',
                    hint="use a method without rotate",
                )


def _fold_norms(job: Job, residual: Residual) -> None:
    """The weights of norms become 1, and go into the columns of the matrices behind."""
    for norm, readers in residual.norms:
        offset = np.float32(float(norm.offset.value.data))
        for use in job.places(norm):
            name = norm.weight.at(use.layer, use.expert)
            weight = (job.weights.load(name) + offset).astype(np.float32).ravel()
            ones = np.full(job.weights.shape(name), np.float32(1) - offset, np.float32)
            job.weights.edit(name, _always(ones))
            for reader in readers:
                for place in job.places(reader):
                    if place.layer == use.layer:
                        job.weights.edit(reader.weight.at(place.layer, place.expert), scale_columns(weight))


def _always(values: F32) -> Edit:
    return lambda _: values


def _rotate_residual(job: Job, residual: Residual, rotation: Rotation) -> None:
    readers = [*residual.readers, *(op for _, readers in residual.norms for op in readers)]
    for op in [*residual.tables, *dict.fromkeys(readers)]:
        for use in job.places(op):
            job.weights.edit(op.weight.at(use.layer, use.expert), rotation.of_columns())
    for op in residual.writers:
        for use in job.places(op):
            for weight in (op.weight, op.bias):
                if weight is not None:
                    job.weights.edit(weight.at(use.layer, use.expert), rotation.of_rows())


def _rotate_values(job: Job, rng: np.random.Generator) -> None:
    """Each head of values by one rotation, undone by the matrix behind the attention."""
    left = 0
    for place in find_channels(job.program.module):
        if place.kind != "value" or not isinstance(place.producer, slm.LinearOp):
            continue
        width = slm.shape_of(place.producer.result)[-1]
        rotation = Rotation.of(width, rng)
        for use in job.places(place.producer):
            if place.foldable(job, use.layer, use.expert):
                _rotate_heads(job, place, rotation, use)
            else:
                left += 1
    if left:
        job.notes.append(f"rotate: the values of {left} layers stay as they are: their weights are used elsewhere too")


def _rotate_heads(job: Job, place: Channels, rotation: Rotation, use: Use) -> None:
    weight, bias = place.producer_names(use.layer, use.expert)
    for name in (weight, bias):
        if name is not None:
            job.weights.edit(name, rotation.of_rows(place.heads))
    for name in place.consumer_names(use.layer, use.expert):
        job.weights.edit(name, rotation.of_columns())


ROTATE = Method("rotate", "rotates the residual and the values of heads", "Ashkboos et al. 2024", fold=fold)
