"""Attention of docs/numerics.md sections 5 and 9: key-value states and the softmax over blocks of 256 keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.interpreters.slmq_functions import (
    F32,
    bf16_bits,
    bf16_values,
    exp,
    maximum,
    round_bf16,
    rounded_to,
    tanh,
    to_i8,
)
from compiler.interpreters.slmq_kernels import inverse, matmul_fp, scale_of, sum_fp

BLOCK_KEYS = 256
LOWEST = np.finfo(np.float32).min
STORED = {"f32": np.float32, "f16": np.float16, "bf16": np.uint16, "i8": np.int8}


@dataclass(frozen=True)
class Block:
    """Float32 keys and values [n, hd] of one head. Scales, where the cache has them: of channels [hd] and of keys [n], both of
    the stored keys, and of the stored values [n].
    """

    keys: F32
    values: F32
    channel_scales: F32 | None = None
    key_scales: F32 | None = None
    value_scales: F32 | None = None


class KeyValueState:
    """Keys and values of one attention op in one layer, in their stored format.

    keys, values: [G, context, hd], float32, float16, uint16 (the bits of bf16) or int8. key_scales, value_scales: float32
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

    def block(self, group: int, first: int, stop: int) -> Block:
        """The positions first .. stop - 1, which lie in one KV block."""
        rows = slice(first, stop)
        keys, values = (self.floats(stored[group, rows]) for stored in (self.keys, self.values))
        if self.element != "i8":
            return Block(keys, values)
        return Block(keys, values, None, self.key_scales[group, rows], self.value_scales[group, rows])

    def floats(self, stored: NDArray[np.generic]) -> F32:
        """The float32 values of stored keys or values."""
        return (
            bf16_values(stored.astype(np.uint16, copy=False)) if self.element == "bf16" else stored.astype(np.float32)
        )


@dataclass(frozen=True)
class QuantizedBlock:
    """256 positions of all heads: q int8 [G, 256, hd] in -8 .. 7, scales float32: of keys [G, hd], of values [G, 256]."""

    keys: NDArray[np.int8]
    key_scales: F32
    values: NDArray[np.int8]
    value_scales: F32

    @classmethod
    def of(cls, keys: F32, values: F32) -> QuantizedBlock:
        """From float32 [G, 256, hd]: keys per channel, values per position (section 8, int4 KV cache)."""
        key_scales, key_factors = scale_of(np.abs(keys).max(axis=1), 7)
        value_scales, value_factors = scale_of(np.abs(values).max(axis=2), 7)
        scaled = keys * key_factors[:, None], values * value_factors[..., None]
        q_keys, q_values = (to_i8(x, -8, 7) for x in scaled)
        return cls(q_keys, key_scales, q_values, value_scales)


class Int4State(KeyValueState):
    """Keeps the KV block that is not full in bf16, in `keys` and `values`; a full one is quantised when the next one begins."""

    def __init__(self, groups: int, head_dim: int):
        super().__init__("bf16", groups, BLOCK_KEYS, head_dim)
        self.full: list[QuantizedBlock] = []

    def append(self, k: NDArray[np.generic], v: NDArray[np.generic], scales: tuple[F32, F32] | None) -> None:
        """Adds the rows k, v [T, G, hd]; they do not cross a multiple of 256 positions."""
        before = BLOCK_KEYS * len(self.full)
        if self.length == before + BLOCK_KEYS:
            self.full.append(QuantizedBlock.of(self.floats(self.keys), self.floats(self.values)))
            before = self.length
        self.length -= before
        super().append(k, v, scales)
        self.length += before

    def block(self, group: int, first: int, stop: int) -> Block:
        index = first // BLOCK_KEYS
        if index == len(self.full):
            return super().block(group, 0, stop - first)
        full = self.full[index]
        keys, values = (q[group].astype(np.float32) for q in (full.keys, full.values))
        return Block(keys, values, full.key_scales[group], None, full.value_scales[group])


@dataclass
class Online:
    """Running maximum and sum [R, 1] and weighted values [R, hd] of R rows."""

    maximum: F32
    total: F32
    values: F32

    @property
    def result(self) -> F32:
        """Behind the last block."""
        return self.values * inverse(self.total)

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


def attend(q: F32, state: KeyValueState, element: str, window: int | None, softcap: float | None) -> F32:
    """Section 9 for the rows q [T, H, hd] of the last T positions of the state.

    q is scaled and rounded. element: what probabilities are rounded to. Gives float32 [T, H, hd].
    """
    tokens, heads, head_dim = q.shape
    groups = len(state.keys)
    per_group = heads // groups
    result = np.empty_like(q)
    for group in range(groups):
        members = slice(group * per_group, (group + 1) * per_group)
        rows = q[:, members].transpose(1, 0, 2).reshape(-1, head_dim)
        mixed = _attend_group(rows, state, group, tokens, element, window, softcap)
        result[:, members] = mixed.reshape(per_group, tokens, head_dim).transpose(1, 0, 2)
    return result


def _attend_group(
    q: F32, state: KeyValueState, group: int, tokens: int, element: str, window: int | None, softcap: float | None
) -> F32:
    """The rows q [R, hd] of the heads that share one key head; row r is token r % tokens of the chunk."""
    end = state.length
    positions = end - tokens + np.arange(len(q)) % tokens
    reach = end if window is None else window
    online = Online.start(len(q), q.shape[1])
    first_visible = max(0, end - tokens - reach + 1)
    for first in range(first_visible // BLOCK_KEYS * BLOCK_KEYS, end, BLOCK_KEYS):
        stop = min(first + BLOCK_KEYS, end)
        block = state.block(group, first, stop)
        distance = positions[:, None] - np.arange(first, stop)
        queries = q if block.channel_scales is None else round_bf16(q * block.channel_scales)
        scores = matmul_fp(np.ascontiguousarray(queries.T), block.keys.T)
        if block.key_scales is not None:
            scores = scores * block.key_scales
        if softcap is not None:
            scores = tanh(scores * np.float32(1 / softcap)) * np.float32(softcap)
        visible = (distance >= 0) & (distance < reach)
        weights, online.maximum, online.total, alpha = softmax_block(scores, visible, online.maximum, online.total)
        if block.value_scales is not None:
            weights = weights * block.value_scales
        weights = rounded_to(element, weights)
        online.values = matmul_fp(np.ascontiguousarray(weights.T), block.values, online.values * alpha)
    return online.result
