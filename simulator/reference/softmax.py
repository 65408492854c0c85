"""vsmx: one block of the online softmax (docs/numerics.md, section 5). P = ta, S = tb, ML = tc."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isa.spec import MAX_SOFTMAX_KEYS, Dtype, Trap
from simulator import transcendental
from simulator.reference.elements import canonical, load, store
from simulator.reference.operands import Context, Issue, destination, has_dtype, has_extents, require, source
from simulator.reference.sums import sum_fp
from simulator.reference.vector import check_operands, maximum, row_maximum

ML_WORDS = 4


def check_vsmx(context: Context, issue: Issue) -> None:
    """P may equal S; ML is read and written and lies apart from both."""
    check_operands(context, issue)
    p, s, ml = issue["ta"], issue["tb"], issue["tc"]
    has_dtype("tc", ml, (Dtype.F32,))
    keys, *rows = s.extents
    require(keys <= MAX_SOFTMAX_KEYS, Trap.SHAPE_MISMATCH, "tb", f"{keys} keys, at most {MAX_SOFTMAX_KEYS}")
    has_extents("ta", p, s.extents)
    has_extents("tc", ml, (ML_WORDS, rows[0], rows[1], rows[2]))
    source(context, "tb", s)
    destination(context, "ta", p, (s,))
    destination(context, "tc", ml, (p, s), aligned=False)


def visible_keys(tokens: int, keys: int, offset: int, window: int) -> NDArray[np.bool_]:
    """[tokens, keys]: key j of token i is visible if 0 <= offset + i - j < window."""
    mask = np.zeros((tokens, keys), np.bool_)
    for token in range(tokens):
        last = offset + token
        first = last - window + 1
        mask[token, max(0, min(first, keys)) : max(0, min(last + 1, keys))] = True
    return mask


def vsmx(context: Context, issue: Issue) -> None:
    """Updates m, l, alpha and writes the probabilities of one block of keys."""
    memory = context.memory
    scores = load(memory, issue["tb"])
    state = memory.view(issue["tc"])
    mask = visible_keys(scores.shape[0], scores.shape[-1], issue.rs, issue.rt)[:, None, None, :]
    old_maximum, old_sum = state[..., 0:1], state[..., 1:2]
    new_maximum = maximum(old_maximum, row_maximum(np.where(mask, scores, np.float32(-np.inf))))
    exponentials = transcendental.exp(np.concatenate([old_maximum - new_maximum, scores - new_maximum], axis=-1))
    alpha = exponentials[..., 0]
    probabilities = np.where(mask, exponentials[..., 1:], np.float32(0))
    new_sum = old_sum[..., 0] * alpha + sum_fp(probabilities)
    store(memory, issue["ta"], probabilities)
    state[..., 0] = canonical(new_maximum[..., 0])
    state[..., 1] = canonical(new_sum)
    state[..., 2] = canonical(alpha)
