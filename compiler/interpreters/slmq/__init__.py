"""Bit-exact NumPy interpreter of the slmq dialect: the golden result for everything below, by docs/numerics.md alone.

Values are float32 arrays (also those of bf16 tensors, whose values float32 holds exactly) and int8 arrays.
"""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp

from compiler.interpreters.slmq.operations import HANDLERS
from compiler.interpreters.slmq.run import Generation, SlmqRun
from compiler.program import WeightStore

__all__ = ["Generation", "SlmqInterpreter"]


class SlmqInterpreter(SlmqRun):
    """A run with the operations of the level."""

    def __init__(self, module: ModuleOp, weights: WeightStore, context: int):
        super().__init__(module, weights, context, HANDLERS)
