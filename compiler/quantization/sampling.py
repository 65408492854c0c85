"""Text that the model itself writes, as calibration: the float interpreter, one token at a time.

Liu, Oguz, Zhao, Chang, Stock, Mehdad, Shi, Krishnamoorthi, Chandra: LLM-QAT, 2023, section 3.1: a model's own text has the distribution
that its inputs have in use. Tokens are drawn from the whole distribution, at temperature 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from compiler.dialects import slm
from compiler.interpreters.rotary import rotary_tables_f64
from compiler.interpreters.sampling import SamplerSettings, sample_token
from compiler.interpreters.slm.operations import HANDLERS
from compiler.interpreters.slm.run import Array, SlmRun
from compiler.program import Program

Handler = Callable[[SlmRun, Any], None]


def write_text(
    program: Program, start: Sequence[int], count: int, seed: int, tell: Callable[[int, int], None]
) -> list[int]:
    """`count` tokens, the first of them `start`, which may not be empty. The same seed gives the same tokens.

    `tell` hears how many there are.
    """
    tokens = list(start)[:count]
    generator = Incremental(program, count)
    logits = generator.feed(tokens)
    settings = SamplerSettings(temperature=1.0, seed=seed)
    while len(tokens) < count:
        tokens.append(max(0, sample_token(logits, settings, len(tokens) - 1)))
        logits = generator.feed(tokens[-1:])
        tell(len(tokens), count)
    return tokens


@dataclass
class Incremental:
    """The float interpreter with the state of a sequence that grows, at most to `length` tokens."""

    program: Program
    length: int
    position: int = 0
    keys: dict[str, Array] = field(default_factory=dict[str, Array])
    """Rows of keys, values, convolutions and scans so far, by the name of the state."""

    def feed(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Logits [V] behind the last of these tokens, which follow those before."""
        handlers: dict[type[Operation], Handler] = {
            **HANDLERS,
            slm.PositionsOp: self._positions,
            slm.RopeOp: self._rope,
            slm.AttentionOp: self._attention,
            slm.CausalConvOp: self._convolution,
            slm.SelectiveScanOp: self._scan,
        }
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            run = SlmRun(self.program.weights, np.asarray(tokens, np.int64), np.float32, handlers)
            logits = run.run(self.program.module)[-1]
        self.position += len(tokens)
        return logits

    def _name(self, run: SlmRun, op: Any, part: str) -> str:
        return slm.stored_name(op.state.data, run.layer, run.expert) + part

    def _positions(self, run: SlmRun, op: slm.PositionsOp) -> None:
        run.values[op.result] = np.arange(len(run.tokens), dtype=np.int64) + self.position + op.offset.value.data

    def _rope(self, run: SlmRun, op: slm.RopeOp) -> None:
        if op.rotary not in run.rotary:
            rows = slice(self.position, self.position + len(run.tokens))
            tables = rotary_tables_f64(op.rotary, self.length, self.length)
            cos, sin = (table[rows, None].astype(run.dtype) for table in tables)
            run.rotary[op.rotary] = (cos, sin)
        HANDLERS[slm.RopeOp](run, op)

    def _attention(self, run: SlmRun, op: slm.AttentionOp) -> None:
        """The queries stand at the end of all keys: rows of zeros before them cost nothing where one token is fed."""
        q = run.values[op.q]
        for value, part in ((op.k, ".k"), (op.v, ".v")):
            name = self._name(run, op, part)
            rows = run.values[value]
            self.keys[name] = np.concatenate([self.keys[name], rows]) if name in self.keys else rows
        k, v = (self.keys[self._name(run, op, part)] for part in (".k", ".v"))
        run.set_result(op, attend(q, k, v, op, slm.at_layer(op.scale, op.layer_scales, run.layer)))

    def _convolution(self, run: SlmRun, op: slm.CausalConvOp) -> None:
        name, x = self._name(run, op, ""), run.values[op.x].reshape(len(run.tokens), -1)
        weight = run.load(op.weight).astype(run.dtype)
        taps = weight.shape[1]
        padded = np.concatenate([self.keys.get(name, np.zeros((taps - 1, x.shape[1]), run.dtype)), x])
        self.keys[name] = padded[len(padded) - taps + 1 :]
        y = sum(padded[tap : tap + len(x)] * weight[:, tap] for tap in range(taps))
        if op.bias is not None:
            y = y + run.load(op.bias).reshape(-1)
        run.set_result(op, np.asarray(y, run.dtype))

    def _scan(self, run: SlmRun, op: slm.SelectiveScanOp) -> None:
        u, dt, a, b, c = (run.values[value] for value in (op.u, op.dt, op.a, op.b, op.c))
        name = self._name(run, op, "")
        y = np.empty_like(u)
        h = self.keys[name] if name in self.keys else np.zeros_like(a)
        for token in range(len(u)):
            step = dt[token][:, None]
            h = np.exp(step * a) * h + step * u[token][:, None] * b[token]
            y[token] = h @ c[token]
        self.keys[name] = np.asarray(h)
        run.set_result(op, y)


def attend(q: Array, k: Array, v: Array, op: slm.AttentionOp, scale: float) -> Array:
    """Attention of the last rows q [t, H, hd] over all keys k, v [T, G, hd]."""
    groups, shared = k.shape[1], q.shape[1] // k.shape[1]
    scores = np.einsum("tgsd,jgd->gstj", q.reshape(len(q), groups, shared, -1), k) * q.dtype.type(scale)
    if op.softcap is not None:
        cap = q.dtype.type(float(op.softcap.value.data))
        scores = np.tanh(scores / cap) * cap
    rows = np.arange(len(k) - len(q), len(k))
    distance = rows[:, None] - np.arange(len(k))
    window = len(k) if op.window is None else op.window.value.data
    scores = np.where((distance >= 0) & (distance < window), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return np.einsum("gstj,jgd->tgsd", weights, v).reshape(q.shape)
