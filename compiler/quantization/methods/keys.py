"""KV scaling: channels of keys with large numbers are divided, and the queries multiplied, so that a coarse cache keeps more.

SmoothAttention of Lin, Tang, Yang, Zhang, Xiao, Gan, Han: QServe: W4A8KV4 Quantization and System Co-design for Efficient LLM
Serving, MLSys 2025, section 4.2: factors max|K_i|^0.5, the two channels of a rotary pair sharing the larger one, so that the
division can be done before the rotation. All query heads that read a key head take its factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation, SSAValue

from compiler.dialects import slm
from compiler.dialects.slm.norms import NormBase
from compiler.interpreters.slm.run import SlmRun, forward_function
from compiler.quantization.calibration import observe
from compiler.quantization.folding import scale_norm, scale_rows
from compiler.quantization.job import Job, Method

F32 = NDArray[np.float32]
ALPHA = 0.5


@dataclass(frozen=True)
class _Side:
    """Where factors of q or k [T, heads, width] go: rows of a linear, or the weight of a norm, which may be the same for all heads."""

    producer: slm.LinearOp | NormBase
    heads: int
    pairs: int
    """Channels j and j + pairs, j < pairs, are rotated together; 0: none."""

    @property
    def one_for_all(self) -> bool:
        """Whether all heads have the same factors."""
        return isinstance(self.producer, NormBase) and prod(self.producer.weight.shape) != prod(
            slm.row_shape(self.producer.result)
        )

    def names(self, layer: int | None) -> list[str]:
        bias = getattr(self.producer, "bias", None)
        return [weight.at(layer, None) for weight in (self.producer.weight, bias) if weight is not None]

    def changeable(self, job: Job, layer: int | None) -> bool:
        """Whether no other operation uses its weights."""
        return all(job.used_once(name) for name in self.names(layer))

    def fold(self, job: Job, factors: F32, layer: int | None) -> None:
        """Multiplies by factors [heads, width]."""
        flat = (factors[0] if self.one_for_all else factors).ravel()
        weight, *bias = self.names(layer)
        if isinstance(self.producer, slm.LinearOp):
            job.weights.edit(weight, scale_rows(flat))
        else:
            offset = float(self.producer.offset.value.data) if isinstance(self.producer, slm.RmsNormOp) else 0.0
            job.weights.edit(weight, scale_norm(flat, offset))
        for name in bias:
            job.weights.edit(name, lambda values: values * flat.reshape(values.shape))


def fold(job: Job) -> None:
    ops = [op for op in forward_function(job.program.module).walk() if isinstance(op, slm.AttentionOp)]
    sides = {op: (_side(op.q), _side(op.k)) for op in ops}
    chosen: dict[tuple[Operation, int | None], F32] = {}
    left: dict[str, None] = {}

    def look(run: SlmRun, op: Operation) -> None:
        assert isinstance(op, slm.AttentionOp)
        q, k = sides[op]
        name = slm.stored_name(op.state.data, run.layer, None)
        if q is not None and k is not None and q.changeable(job, run.layer) and k.changeable(job, run.layer):
            chosen[op, run.layer] = factors_of(np.abs(run.values[op.k]).max(axis=0), q, k)
        else:
            left[name] = None

    observe(job.program, job.weights, job.tokens, after={slm.AttentionOp: look})
    for (op, layer), factors in chosen.items():
        assert isinstance(op, slm.AttentionOp)
        q, k = sides[op]
        assert q is not None and k is not None
        k.fold(job, (1 / factors).astype(np.float32), layer)
        q.fold(job, np.repeat(factors, q.heads // k.heads, axis=0), layer)
    if left:
        job.notes.append(
            f"kv: {', '.join(left)} stay as they are: something takes no factors, or is used elsewhere too"
        )


def factors_of(largest: F32, q: _Side, k: _Side) -> F32:
    """Factors [heads, width] from max|K| [heads, width]; channels that are 0 have none to give, and take 1."""
    if q.one_for_all or k.one_for_all:
        largest = np.broadcast_to(largest.max(axis=0), largest.shape)
    largest = largest.copy()
    pairs = k.pairs
    if pairs:
        together = np.maximum(largest[:, :pairs], largest[:, pairs : 2 * pairs])
        largest[:, :pairs] = largest[:, pairs : 2 * pairs] = together
    return np.where(largest > 0, largest**ALPHA, 1).astype(np.float32)


def _side(value: SSAValue) -> _Side | None:
    """Behind a rotation or not, a norm of heads or a linear that nothing else reads; None if it is something else."""
    heads, width = slm.shape_of(value)[1:]
    pairs = 0
    if not value.has_one_use():
        return None
    owner = value.owner
    if isinstance(owner, slm.RopeOp):
        pairs, value = owner.rotary.dim.data // 2, owner.x
        owner = value.owner
    if not value.has_one_use() or not isinstance(owner, slm.LinearOp | NormBase):
        return None
    if isinstance(owner, NormBase) and prod(owner.weight.shape) not in (width, heads * width):
        return None
    return _Side(owner, heads, pairs)


KEYS = Method("kv", "evens out the channels of keys for the cache", "Lin et al. 2025", fold=fold, calibrated=True)
