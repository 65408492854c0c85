"""The methods, by name, and chains of them: `rotate+gptq`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compiler.errors import CompileError
from compiler.formats import Quantized
from compiler.quantization.job import F32, Method, Task
from compiler.quantization.methods.awq import AWQ
from compiler.quantization.methods.gptq import GPTQ, GPTQ_ORDERED
from compiler.quantization.methods.keys import KEYS
from compiler.quantization.methods.pruning import MAGNITUDE, WANDA
from compiler.quantization.methods.rotate import ROTATE
from compiler.quantization.methods.smoothquant import SMOOTHQUANT
from compiler.quantization.rounding import quantize


def round_to_nearest(task: Task) -> Quantized:
    """Each weight by itself; of sparse formats the two larger of four that are left."""
    matrix = task.matrix if task.kept is None else np.where(task.kept, task.matrix, np.float32(0))
    return quantize(matrix, task.form, task.name)


RTN = Method("rtn", "rounds to nearest", "", round=round_to_nearest)
METHODS = {
    method.name: method for method in (RTN, SMOOTHQUANT, AWQ, GPTQ, GPTQ_ORDERED, ROTATE, KEYS, MAGNITUDE, WANDA)
}
SEPARATOR = "+"


@dataclass(frozen=True)
class Chain:
    """Folds one after the other, then pruning and rounding of each matrix. The rounding is that of the last method that has one."""

    name: str
    methods: tuple[Method, ...]

    @staticmethod
    def of(text: str) -> Chain:
        """Raises CompileError for unknown names and for methods that do not go together."""
        names = text.split(SEPARATOR)
        for name in names:
            if name not in METHODS:
                raise CompileError(f'unknown method "{name[:40]}"', hint=f"known are {', '.join(METHODS)}, joined by +")
        if len(set(names)) != len(names):
            raise CompileError(f'method "{text[:80]}" has a name twice')
        methods = tuple(METHODS[name] for name in names)
        pruning = [method.name for method in methods if method.importance is not None]
        if len(pruning) > 1:
            raise CompileError(f"a model is pruned once: {' and '.join(pruning)} exclude each other")
        rounding = [method.name for method in methods if method.round is not None and method.fold is None]
        if len(rounding) > 1:
            raise CompileError(f"a matrix is rounded once: {' and '.join(rounding)} exclude each other")
        return Chain(text, methods)

    @property
    def pruning(self) -> Method | None:
        return next((method for method in self.methods if method.importance is not None), None)

    @property
    def rounding(self) -> Method:
        """A method that only rounds wins over one that also folds."""
        own = [method for method in self.methods if method.round is not None]
        return min(own, key=lambda method: method.fold is not None, default=RTN)

    @property
    def rounds_with_inputs(self) -> bool:
        """Whether rounding or pruning looks at the inputs of a matrix."""
        return self.rounding is not RTN or (self.pruning is not None and self.pruning.needs_inputs)

    @property
    def needs_tokens(self) -> bool:
        return self.rounds_with_inputs or any(method.calibrated for method in self.methods)

    def rounded(self, task: Task) -> Quantized:
        """A matrix pruned, if its format is sparse, and rounded."""
        rounder = self.rounding.round
        assert rounder is not None
        return rounder(task)


__all__ = ["F32", "METHODS", "RTN", "Chain", "Method", "Task", "round_to_nearest"]
