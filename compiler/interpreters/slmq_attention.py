"""Attention of docs/numerics.md sections 5 and 9: key-value states and the softmax over blocks of 256 keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.slmq_functions import F32, bf16_bits, bf16_values, exp, maximum, round_bf16, tanh
from compiler.interpreters.slmq_kernels import matmul_fp, sum_fp

BLOCK_KEYS = 256
LOWEST = np.finfo(np.float32).min
STORED = {"f32": np.float32, "bf16": np.uint16, "i8": np.int8}


class KeyValueState:
    """Keys and values of one attention op in one layer, in their stored format.

    keys, values: [G, context, hd], float32, uint16 (the bits of bf16) or int8. key_scales, value_scales: float32
    [G, context], used with int8. Rows at and after `length` are not written yet (and take no memory until then).
    """

    def __init__(self, element: str, groups: int, context: int, head_dim: int):
        self.element = element
        self.length = 0
        self.keys = np.zeros((groups, context, head_dim), STORED[element])
        self.values = np.zeros((groups, context, head_dim), STORED[element])
        self.key_scales = np.zeros((groups, context), np.float32)
        self.value_scales = np.zeros((groups, context), np.float32)

    def append(self, k: NDArray[np.generic], v: NDArray[np.generic], scales: tuple[F32, F32] | None) -> None:
        """Adds the rows k, v [T, G, hd], with their scales [T, G, 1] if they are int8."""
        rows = slice(self.length, self.length + len(k))
        for stored, new in ((self.keys, k), (self.values, v)):
            bits = bf16_bits(new.astype(np.float32, copy=False)) if self.element == "bf16" else new
            stored[:, rows] = bits.transpose(1, 0, 2)
        if scales is not None:
            for stored, new in zip((self.key_scales, self.value_scales), scales, strict=True):
                stored[:, rows] = new[..., 0].T
        self.length = rows.stop

    def block(self, stored: NDArray[np.generic], group: int, rows: slice) -> F32:
        """The float32 values of some rows of keys or values, [n, hd]."""
        part = stored[group, rows]
        return bf16_values(part.astype(np.uint16, copy=False)) if self.element == "bf16" else part.astype(np.float32)


@dataclass
class Online:
    """Running maximum and sum [R, 1] and weighted values [R, hd] of R rows."""

    maximum: F32
    total: F32
    values: F32

    @classmethod
    def start(cls, rows: int, head_dim: int) -> Online:
        column = np.zeros((rows, 1), np.float32)
        return cls(column + LOWEST, column, np.zeros((rows, head_dim), np.float32))


def softmax_block(scores: F32, visible: NDArray[np.bool_], m: F32, total: F32) -> tuple[F32, F32, F32, F32]:
    """Section 5 on scores [R, n]: (P, m', l', alpha), the last three [R, 1]."""
    any_visible = visible.any(axis=1, keepdims=True)
    best = np.where(visible, scores, np.float32(-np.inf)).max(axis=1, keepdims=True)
    new = np.where(any_visible, maximum(m, best), m)
    alpha = np.where(any_visible, exp(m - new), np.float32(1))
    weights = exp(np.where(visible, scores - new, np.float32(-np.inf)))
    return weights, new, np.where(any_visible, (total * alpha) + sum_fp(weights), total), alpha


def attend(q: F32, state: KeyValueState, rounds: bool, window: int | None, softcap: float | None) -> F32:
    """Section 9 for the rows q [T, H, hd] of the last T positions of the state.

    q is scaled and rounded. rounds: whether probabilities are rounded to bf16. Gives float32 [T, H, hd].
    """
    tokens, heads, head_dim = q.shape
    groups = len(state.keys)
    per_group = heads // groups
    result = np.empty_like(q)
    for group in range(groups):
        members = slice(group * per_group, (group + 1) * per_group)
        rows = q[:, members].transpose(1, 0, 2).reshape(-1, head_dim)
        mixed = _attend_group(rows, state, group, tokens, rounds, window, softcap)
        result[:, members] = mixed.reshape(per_group, tokens, head_dim).transpose(1, 0, 2)
    return result


def _attend_group(
    q: F32, state: KeyValueState, group: int, tokens: int, rounds: bool, window: int | None, softcap: float | None
) -> F32:
    """The rows q [R, hd] of the heads that share one key head; row r is token r % tokens of the chunk."""
    end = state.length
    positions = end - tokens + np.arange(len(q)) % tokens
    reach = end if window is None else window
    online = Online.start(len(q), q.shape[1])
    columns = np.ascontiguousarray(q.T)
    first_visible = max(0, end - tokens - reach + 1)
    for first in range(first_visible // BLOCK_KEYS * BLOCK_KEYS, end, BLOCK_KEYS):
        keys = slice(first, min(first + BLOCK_KEYS, end))
        distance = positions[:, None] - np.arange(keys.start, keys.stop)
        scores = matmul_fp(columns, state.block(state.keys, group, keys).T)
        if state.element == "i8":
            scores = scores * state.key_scales[group, keys]
        if softcap is not None:
            scores = tanh(scores * np.float32(1 / softcap)) * np.float32(softcap)
        visible = (distance >= 0) & (distance < reach)
        weights, online.maximum, online.total, alpha = softmax_block(scores, visible, online.maximum, online.total)
        if state.element == "i8":
            weights = weights * state.value_scales[group, keys]
        if rounds:
            weights = round_bf16(weights)
        values = state.block(state.values, group, keys)
        online.values = matmul_fp(np.ascontiguousarray(weights.T), values, online.values * alpha)
    return online.values / online.total
