"""Operations on the rows of an image."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slm
from compiler.interpreters.slm.run import Handlers, SlmRun

SMALLEST_NORM = 1e-12


def patches(run: SlmRun, op: slm.PatchesOp) -> None:
    image, size = run.values[op.image], op.size.value.data
    channels, down, across = image.shape[0], image.shape[1] // size, image.shape[2] // size
    cut = image[:, : down * size, : across * size].reshape(channels, down, size, across, size)
    run.set_result(op, cut.transpose(1, 3, 0, 2, 4))


def concat(run: SlmRun, op: slm.ConcatOp) -> None:
    run.set_result(op, np.concatenate([run.values[op.a], run.values[op.b]]))


def l2_normalize(run: SlmRun, op: slm.L2NormalizeOp) -> None:
    x = run.values[op.x]
    norm = np.sqrt((x * x).sum(axis=-1, keepdims=True))
    run.set_result(op, x / np.maximum(norm, run.dtype(SMALLEST_NORM)))


def full_attention(run: SlmRun, op: slm.FullAttentionOp) -> None:
    q, k, v = (run.values[value].transpose(1, 0, 2) for value in (op.q, op.k, op.v))
    shared = len(q) // len(k)
    result = np.empty_like(q)
    for head, rows in enumerate(q):
        scores = rows @ k[head // shared].T * run.dtype(float(op.scale.value.data))
        if op.softcap is not None:
            cap = run.dtype(float(op.softcap.value.data))
            scores = np.tanh(scores / cap) * cap
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        result[head] = weights @ v[head // shared] / weights.sum(axis=-1, keepdims=True)
    run.set_result(op, result.transpose(1, 0, 2))


def replace(run: SlmRun, op: slm.ReplaceOp) -> None:
    result, places = run.values[op.x].copy(), run.values[op.places]
    rows = run.values[op.rows]
    replaced = (places >= 0) & (places < len(rows))
    result[replaced] = rows[places[replaced]]
    run.set_result(op, result)


IMAGE_HANDLERS: Handlers = {
    slm.PatchesOp: patches,
    slm.ConcatOp: concat,
    slm.L2NormalizeOp: l2_normalize,
    slm.FullAttentionOp: full_attention,
    slm.ReplaceOp: replace,
}
