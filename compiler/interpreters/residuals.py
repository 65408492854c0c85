"""The residual stream behind each layer, from both interpreters, and how far one is from the other.

The interpreters that watch are subclasses: a run that nobody watches does nothing more than before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Block

from compiler.dialects import slm
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slm.operations import HANDLERS
from compiler.interpreters.slm.run import SlmRun
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Program

F32 = NDArray[np.float32]
LayerName = tuple[str, int]
"""The group of layers in the architecture, and the number of the layer in it."""
Residuals = dict[LayerName, F32]
"""Layer -> what it hands on, float32 [T, elements]: the first of its values, if there are several."""


def layer_of(block: Block, layer: int | None) -> LayerName | None:
    """The layer whose body the block is."""
    stack = block.parent_op()
    return (stack.group.data, layer) if isinstance(stack, slm.LayersOp) and layer is not None else None


def _flat(value: NDArray[Any]) -> F32:
    return value.reshape(len(value), -1).astype(np.float32)


class WatchedSlm(SlmRun):
    """One run of the slm interpreter in float32 that keeps the residual stream."""

    def __init__(self, program: Program, tokens: Sequence[int]):
        """Raises InterpreterError if there are no tokens."""
        if not tokens:
            raise InterpreterError("an empty prompt has no logits")
        super().__init__(program.weights, np.asarray(tokens, np.int64), np.float32, HANDLERS)
        self.module = program.module
        self.residuals: Residuals = {}

    def block(self, block: Block) -> list[NDArray[np.floating[Any]]]:
        results = super().block(block)
        name = layer_of(block, self.layer)
        if name is not None and results:
            self.residuals[name] = _flat(results[0])
        return results

    def logits(self) -> F32:
        """Float32 [T, V] of all tokens. Raises InterpreterError as interpret_slm does."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            return self.run(self.module)


class WatchedSlmq(SlmqInterpreter):
    """The slmq interpreter; the residual stream of the sequence is kept chunk by chunk."""

    def restart(self) -> None:
        self._chunks: dict[LayerName, list[F32]] = {}
        super().restart()

    def run_block(self, block: Block) -> list[NDArray[Any]]:
        results = super().run_block(block)
        name = layer_of(block, self.layer)
        if name is not None and results:
            self._chunks.setdefault(name, []).append(_flat(results[0]))
        return results

    @property
    def residuals(self) -> Residuals:
        return {name: np.concatenate(chunks) for name, chunks in self._chunks.items()}


@dataclass
class LayerErrors:
    """Sums of squares over the elements of all windows, by layer: of the differences, and of the exact values."""

    differences: dict[LayerName, float] = field(default_factory=dict[LayerName, float])
    values: dict[LayerName, float] = field(default_factory=dict[LayerName, float])

    def add(self, exact: Residuals, other: Residuals) -> None:
        """Layers that one of the two does not have, or whose shapes differ, are left out."""
        for name in exact.keys() & other.keys():
            reference, found = exact[name].astype(np.float64), other[name]
            if reference.shape != found.shape:
                continue
            with np.errstate(all="ignore"):
                difference = float(np.square(found - reference).sum())
            self.differences[name] = self.differences.get(name, 0.0) + difference
            self.values[name] = self.values.get(name, 0.0) + float(np.square(reference).sum())

    def relative(self) -> dict[LayerName, float]:
        """Layer -> sqrt(sum of squared differences / sum of squares), layers in order; NaN where a value was no number."""
        result: dict[LayerName, float] = {}
        for name in sorted(self.differences):
            difference, value = self.differences[name], self.values[name]
            result[name] = float(np.sqrt(difference / value)) if value else (0.0 if difference == 0 else float("inf"))
        return result
