"""Attention of the slmq interpreter against docs/numerics.md sections 5 and 9, one query row and one key at a time."""

import math
from itertools import pairwise

import numpy as np
import pytest

from compiler.interpreters.slmq_attention import KeyValueState, attend, softmax_block
from compiler.interpreters.slmq_functions import exp, round_bf16, tanh

F = np.float32
GROUPS, PER_GROUP, HEAD_DIM = 2, 2, 4


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


def one(function, value):
    return function(np.array([value], np.float32))[0]


ROUNDED = {
    "f32": lambda value: value,
    "f16": lambda value: F(np.float16(value)),
    "bf16": lambda value: one(round_bf16, value),
}


def ordered_sum(terms, start=0.0):
    terms = [*terms, *[F(0)] * (-len(terms) % 32)]
    total = F(start)
    for first in range(0, len(terms), 32):
        level = terms[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            level = [level[i] + level[i + half] for i in range(half)]
        total = total + level[0]
    return total


def scalar_softmax(scores, visible, m, total):
    """Section 5 on one row."""
    seen = [score for score, shown in zip(scores, visible, strict=True) if shown]
    new = max([m, *seen])
    alpha = one(exp, m - new) if seen else F(1)
    weights = [one(exp, score - new) if shown else F(0) for score, shown in zip(scores, visible, strict=True)]
    return weights, new, (total * alpha) + ordered_sum(weights), alpha


def scalar_attend(q, keys, values, scales, position, end, window, softcap, element, first_block):
    """Section 9 for one query row q [hd] at `position` of a chunk that ends before `end`."""
    m, total, acc = F(np.finfo(np.float32).min), F(0), [F(0)] * len(q)
    for first in range(first_block * 256, end, 256):
        block = range(first, min(first + 256, end))
        scores = [ordered_sum([q[d] * keys[j, d] for d in range(len(q))]) for j in block]
        if scales is not None:
            scores = [score * scales[0][j] for score, j in zip(scores, block, strict=True)]
        if softcap is not None:
            scores = [one(tanh, score * F(1 / softcap)) * F(softcap) for score in scores]
        visible = [0 <= position - j < (window or math.inf) for j in block]
        weights, m, total, alpha = scalar_softmax(scores, visible, m, total)
        if scales is not None:
            weights = [weight * scales[1][j] for weight, j in zip(weights, block, strict=True)]
        weights = [ROUNDED[element](weight) for weight in weights]
        for d in range(len(q)):
            products = [weight * values[j, d] for weight, j in zip(weights, block, strict=True)]
            acc[d] = ordered_sum(products, acc[d] * alpha)
    inverse = F(1) / total
    return [value * inverse for value in acc]


def attention_element(element):
    """Of queries and probabilities over keys of that element."""
    return "bf16" if element == "i8" else element


def inputs(element, length, seed):
    """q, k, v as an attention op receives them, and the scales of int8."""
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(length, GROUPS * PER_GROUP, HEAD_DIM)).astype(np.float32)
    kv = [rng.normal(size=(length, GROUPS, HEAD_DIM)).astype(np.float32) * 2 for _ in range(2)]
    if element == "f32":
        return q, *kv, None
    if element in ("bf16", "f16"):
        values = [
            np.array([ROUNDED[element](value) for value in x.flat], np.float32).reshape(x.shape) for x in (q, *kv)
        ]
        return *values, None
    numbers = [rng.integers(-127, 128, size=x.shape).astype(np.int8) for x in kv]
    scales = tuple((rng.uniform(size=(length, GROUPS, 1)) / 60).astype(np.float32) for _ in range(2))
    return round_bf16(q), *numbers, scales


def attend_in_chunks(element, data, borders, window, softcap):
    q, k, v, scales = data
    state = KeyValueState(element, GROUPS, len(q), HEAD_DIM)
    results = []
    for start, stop in pairwise(borders):
        part = None if scales is None else tuple(scale[start:stop] for scale in scales)
        state.append(k[start:stop], v[start:stop], part)
        results.append(attend(q[start:stop], state, attention_element(element), window, softcap))
    return np.concatenate(results)


def expected_row(element, data, position, head, chunk, window, softcap):
    q, k, v, scales = data
    group = head // PER_GROUP
    flat = None if scales is None else [scale[:, group, 0] for scale in scales]
    keys, values = (x[:, group].astype(np.float32) for x in (k, v))
    first_block = max(0, chunk[0] - window + 1) // 256 if window else 0
    row = q[position, head]
    kind = attention_element(element)
    return scalar_attend(row, keys, values, flat, position, chunk[1], window, softcap, kind, first_block)


@pytest.mark.parametrize("element", ["f32", "f16", "bf16", "i8"])
@pytest.mark.parametrize(("window", "softcap"), [(None, None), (20, None), (None, 1.5), (300, 3.0)])
def test_rows_over_two_blocks(element, window, softcap):
    data = inputs(element, 290, 3)
    borders = [0, 256, 290]
    found = attend_in_chunks(element, data, borders, window, softcap)
    for position, chunk in ((0, (0, 256)), (33, (0, 256)), (255, (0, 256)), (256, (256, 290)), (289, (256, 290))):
        for head in (0, 3):
            expected = expected_row(element, data, position, head, chunk, window, softcap)
            np.testing.assert_array_equal(
                found[position, head].view(np.uint32), np.array(expected, "f4").view(np.uint32)
            )


@pytest.mark.parametrize("element", ["f32", "f16", "bf16", "i8"])
@pytest.mark.parametrize("window", [None, 7, 256])
def test_chunks_do_not_change_bits(element, window):
    data = inputs(element, 300, 4)
    whole = attend_in_chunks(element, data, [0, 256, 300], window, None)
    for borders in ([0, 1, 2, 128, 255, 256, 257, 300], [0, 129, 256, 299, 300]):
        found = attend_in_chunks(element, data, borders, window, None)
        np.testing.assert_array_equal(found.view(np.uint32), whole.view(np.uint32))


def test_softmax_block_with_hidden_rows_and_special_scores():
    scores = np.array([[1, 2, 3], [5, 5, 5], [-math.inf, 0, 200], [math.nan, 1, 2], [1, math.nan, 1]], np.float32)
    visible = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 1], [1, 1, 1]], bool)
    m, total = np.full((5, 1), 1.5, np.float32), np.full((5, 1), 2.5, np.float32)
    weights, new, sums, alpha = softmax_block(scores, visible, m, total)
    for row in (0, 2, 3):
        expected = scalar_softmax(list(scores[row]), visible[row], F(1.5), F(2.5))
        assert weights[row].tolist() == expected[0]
        assert (new[row, 0], sums[row, 0], alpha[row, 0]) == expected[1:]
    assert (weights[1].tolist(), new[1, 0], sums[1, 0], alpha[1, 0]) == ([0, 0, 0], 1.5, 2.5, 1)
    assert np.isnan([*weights[4], new[4, 0], sums[4, 0], alpha[4, 0]]).all()


def test_states_keep_the_stored_bits():
    state = KeyValueState("bf16", 1, 4, 2)
    k = np.array([[[1.0, 1.00390625]]], np.float32)  # the second lies between two bf16 numbers, the even one is 1
    state.append(k, -k, None)
    state.append(k * 2, k, None)
    assert state.keys[0, :2].tolist() == [[0x3F80, 0x3F80], [0x4000, 0x4000]]
    assert state.values[0, :2].tolist() == [[0xBF80, 0xBF80], [0x3F80, 0x3F80]]
    assert state.length == 2
