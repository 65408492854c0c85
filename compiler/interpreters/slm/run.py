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
from compiler.images import ImageInput, encoder_of
from compiler.interpreters.errors import InterpreterError
from compiler.program import WeightStore
from isa.abi import NO_IMAGE_ROW

Array = NDArray[np.floating[Any]]
Handlers = Mapping[type[Operation], Callable[["SlmRun", Any], None]]


def forward_function(module: ModuleOp) -> Block:
    """The body of `func.func @forward`. Raises InterpreterError if there is none."""
    for op in module.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "forward" and op.body.blocks:
            return op.body.block
    raise InterpreterError("the module has no function @forward")


def encoder_function(module: ModuleOp) -> Block:
    """The body of the function that makes rows of an image. Raises InterpreterError for a model without images."""
    function = encoder_of(module)
    if function is None:
        raise InterpreterError("the model takes no image")
    return function.body.block


def check_image(body: Block, image: ImageInput, tokens: int) -> None:
    """Raises InterpreterError if an image does not go with a function of pixels and so many tokens."""
    expected, found = tuple(shape_of(body.args[0])), image.pixels.shape
    if found != expected or image.pixels.dtype != np.float32:
        raise InterpreterError(f"the image is {image.pixels.dtype} {found}, expected float32 {expected}")
    if image.places.shape != (tokens,) or image.places.dtype != np.int32:
        raise InterpreterError(f"{tokens} tokens have int32 places, found {image.places.dtype} {image.places.shape}")


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

    def run(self, module: ModuleOp, image: ImageInput | None = None) -> NDArray[np.float32]:
        body = forward_function(module)
        inputs: list[Any] = [self.tokens]
        if len(body.args) > 1:
            shape = shape_of(body.args[2])
            none = np.full(len(self.tokens), NO_IMAGE_ROW, np.int32)
            inputs += [none, np.zeros(shape, self.dtype)] if image is None else self.encoded(module, image)
        elif image is not None:
            raise InterpreterError("the model takes no image")
        self.values.update(zip(body.args, inputs, strict=True))
        logits = self.block(body)[0]
        return logits.astype(np.float32)

    def encoded(self, module: ModuleOp, image: ImageInput) -> list[Any]:
        """The places and the rows of an image."""
        body = encoder_function(module)
        check_image(body, image, len(self.tokens))
        self.values[body.args[0]] = image.pixels.astype(self.dtype)
        return [image.places, self.block(body)[0]]

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
