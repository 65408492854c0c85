"""One run of the interpreter: the values of the operations so far, and the loop over a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm
from compiler.dialects.slm import RotaryAttr, WeightAttr, shape_of
from compiler.interpreters.errors import InterpreterError
from compiler.program import WeightStore

Array = NDArray[np.floating[Any]]
Handlers = Mapping[type[Operation], Callable[["SlmRun", Any], None]]


def forward_function(module: ModuleOp) -> Block:
    """The body of `func.func @forward`. Raises InterpreterError if there is none."""
    for op in module.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "forward" and op.body.blocks:
            return op.body.block
    raise InterpreterError("the module has no function @forward")


class SlmRun:
    """One run. `layer` and `expert` are what `{i}` and `{e}` stand for, None outside of layers and mixtures."""

    def __init__(
        self, weights: WeightStore, tokens: NDArray[np.int64], dtype: type[np.floating[Any]], handlers: Handlers
    ):
        self.weights = weights
        self.tokens = tokens
        self.dtype = dtype
        self.layer: int | None = None
        self.expert: int | None = None
        self.values: dict[SSAValue, Any] = {}
        self.rotary: dict[RotaryAttr, tuple[Array, Array]] = {}
        self.handlers = handlers

    def run(self, module: ModuleOp) -> NDArray[np.float32]:
        body = forward_function(module)
        self.values[body.args[0]] = self.tokens
        logits = self.block(body)[0]
        return logits.astype(np.float32)

    def block(self, block: Block) -> list[Array]:
        """Runs the operations and returns the operands of the terminator."""
        defined: list[SSAValue] = list(block.args)
        results: list[Array] = []
        for op in block.ops:
            if isinstance(op, func.ReturnOp | slm.YieldOp):
                results = [self.values[value] for value in op.operands]
                break
            handler = self.handlers.get(type(op))
            if handler is None:
                raise InterpreterError("is not an operation of the slm level", op)
            handler(self, op)
            defined.extend(op.results)
        for value in defined:
            self.values.pop(value, None)
        return results

    def load(self, weight: WeightAttr) -> NDArray[np.float32]:
        return self.weights.load(weight.at(self.layer, self.expert))

    def set_result(self, op: Operation, value: Array) -> None:
        """The value in the shape the IR states; there are as many rows as the value has: an expert sees a part of the tokens."""
        stated = shape_of(op.results[0])
        self.values[op.results[0]] = value.reshape([len(value) if size < 0 else size for size in stated])
