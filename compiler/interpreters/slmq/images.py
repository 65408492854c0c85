"""Operations on the rows of an image, bit by bit: docs/numerics.md sections 8 and 9."""

from __future__ import annotations

import numpy as np

from compiler.dialects import slmq
from compiler.dialects.slmq import element_of
from compiler.interpreters.slmq.run import Handlers, Results, SlmqRun
from compiler.interpreters.slmq_attention import BLOCK_KEYS, Online, softmax_block
from compiler.interpreters.slmq_functions import F32, constant, maximum, rounded_to, tanh
from compiler.interpreters.slmq_kernels import inverse, matmul_fp, sum_fp

SMALLEST_NORM = constant(1e-12)


def attend_all(q: F32, k: F32, v: F32, element: str, softcap: float | None) -> F32:
    """Section 9 for rows q [n, H, hd] that see all keys k, v [m, G, hd]; q is scaled and rounded.

    element: what probabilities are rounded to. Gives float32 [n, H, hd].
    """
    shared = q.shape[1] // k.shape[1]
    result = np.empty_like(q)
    for head in range(q.shape[1]):
        keys, values = (np.ascontiguousarray(part[:, head // shared]) for part in (k, v))
        result[:, head] = _attend_head(np.ascontiguousarray(q[:, head].T), keys, values, element, softcap)
    return result


def _attend_head(columns: F32, keys: F32, values: F32, element: str, softcap: float | None) -> F32:
    """One head: queries [hd, n], keys and values [m, hd]."""
    rows = columns.shape[1]
    online = Online.start(rows, keys.shape[1])
    for first in range(0, len(keys), BLOCK_KEYS):
        block = slice(first, first + BLOCK_KEYS)
        scores = matmul_fp(columns, keys[block].T)
        if softcap is not None:
            scores = tanh(scores * constant(1 / softcap)) * constant(softcap)
        visible = np.ones(scores.shape, np.bool_)
        weights, online.maximum, online.total, alpha = softmax_block(scores, visible, online.maximum, online.total)
        weights = rounded_to(element, weights)
        online.values = matmul_fp(np.ascontiguousarray(weights.T), values[block], online.values * alpha)
    return online.result


def _patches(run: SlmqRun, op: slmq.PatchesOp) -> Results:
    image, size = run.values[op.image], op.size.value.data
    down, across = (side // size for side in image.shape[1:])
    squares = [
        image[:, top : top + size, left : left + size]
        for top in range(0, down * size, size)
        for left in range(0, across * size, size)
    ]
    return [np.stack(squares)]


def _concat(run: SlmqRun, op: slmq.ConcatOp) -> Results:
    return [np.concatenate([run.values[op.a], run.values[op.b]])]


def _l2_normalize(run: SlmqRun, op: slmq.L2NormalizeOp) -> Results:
    x = run.values[op.x]
    norm: F32 = np.sqrt(sum_fp(x * x))
    return [x * inverse(maximum(norm, np.full_like(norm, SMALLEST_NORM)))]


def _full_attention(run: SlmqRun, op: slmq.FullAttentionOp) -> Results:
    softcap = None if op.softcap is None else float(op.softcap.value.data)
    q, k, v = (run.values[value] for value in (op.q, op.k, op.v))
    return [attend_all(q, k, v, element_of(op.q.type), softcap)]


def _replace(run: SlmqRun, op: slmq.ReplaceOp) -> Results:
    x, places, rows = (run.values[value] for value in (op.x, op.places, op.rows))
    replaced = (places >= 0) & (places < len(rows))
    result = x.copy()
    result[replaced] = rows[places[replaced]]
    return [result]


def _rows(run: SlmqRun, op: slmq.RowsOp) -> Results:
    for argument, value in zip(op.body.block.args, op.operands_read, strict=True):
        run.values[argument] = run.values[value]
    return run.run_block(op.body.block)


IMAGE_HANDLERS: Handlers = {
    slmq.PatchesOp: _patches,
    slmq.ConcatOp: _concat,
    slmq.L2NormalizeOp: _l2_normalize,
    slmq.FullAttentionOp: _full_attention,
    slmq.ReplaceOp: _replace,
    slmq.RowsOp: _rows,
}
