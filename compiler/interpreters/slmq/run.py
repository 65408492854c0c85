"""The loop over chunks and operations: one run with its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from compiler.dialects import slm, slmq
from compiler.dialects.slm import RotaryAttr, WeightAttr
from compiler.images import ImageInput
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.rotary import longest_context, restart_lengths
from compiler.interpreters.sampling import SamplerSettings, sample_token
from compiler.interpreters.slm.run import check_image, encoder_function, forward_function
from compiler.interpreters.slmq.weights import PreparedWeights
from compiler.interpreters.slmq_attention import BLOCK_KEYS, KeyValueState
from compiler.interpreters.slmq_functions import F32, canonical
from compiler.interpreters.slmq_recurrent import RecurrentState
from compiler.program import WeightStore
from isa.abi import NO_IMAGE_ROW

MAX_CONTEXT = 1 << 20
"""Rotary tables are made for the whole context: at most a few hundred MB."""
Results = Sequence[NDArray[Any]]
Handlers = Mapping[type[Operation], Callable[["SlmqRun", Any], Results]]


@dataclass
class Generation:
    """tokens: the generated ids; logits: float32 [n, V], the row that each was sampled from."""

    tokens: list[int] = field(default_factory=list[int])
    logits: list[F32] = field(default_factory=list[F32])


class SlmqRun:
    """Runs `func.func @forward` chunk by chunk; what mixes tokens keeps its `states` between steps.

    context: most positions of a sequence. states: by (state name with its layer, layer or None).
    `sampled` is the token the module sampled in the last step, None if the module returns logits.
    """

    def __init__(self, module: ModuleOp, weights: WeightStore, context: int, handlers: Handlers):
        if not 1 <= context <= MAX_CONTEXT:
            raise InterpreterError(f"the context must be 1 .. {MAX_CONTEXT}, found {context}")
        self.module = module
        self.body = forward_function(module)
        self.handlers = handlers
        self.prepared = PreparedWeights(weights)
        self.context = context
        self.settings = SamplerSettings()
        self.rotary: dict[tuple[RotaryAttr, int], tuple[F32, F32]] = {}
        rotaries = [op.rotary for op in module.walk() if isinstance(op, slmq.RopeOp)]
        if any(context > (longest_context(rotary) or context) for rotary in rotaries):
            raise InterpreterError(f"the model's dynamic rope scaling is not defined for a context of {context}")
        self.restarts = restart_lengths(rotaries, context)
        self.reset()

    def reset(self) -> None:
        """Forgets the sequence: position 0, empty states, no image."""
        self.tokens: list[int] = []
        self.places = np.full(self.context, NO_IMAGE_ROW, np.int32)
        self.image_rows: F32 | None = None
        self.restart()

    def restart(self) -> None:
        """Goes back to position 0 of the same tokens."""
        self.position = 0
        self.states: dict[tuple[str, int | None], KeyValueState | RecurrentState] = {}
        self.layer: int | None = None
        self.expert: int | None = None
        self.values: dict[SSAValue, NDArray[Any]] = {}
        self.logits: F32 | None = None
        self.sampled: int | None = None
        self.all_rows = True

    def show(self, image: ImageInput) -> None:
        """Encodes an image; its rows take the positions, counted from the start of the sequence, that its places name.

        Raises InterpreterError for a model without images, and for pixels that do not fit it.
        """
        body = encoder_function(self.module)
        check_image(body, image, len(image.places))
        if len(image.places) > self.context:
            raise InterpreterError(f"an image for {len(image.places)} positions, the context has {self.context}")
        self.values[body.args[0]] = image.pixels
        with np.errstate(all="ignore"):
            self.image_rows = self.run_block(body)[0]
        self.places[: len(image.places)] = image.places

    def inputs(self, tokens: Sequence[int]) -> list[NDArray[Any]]:
        """The arguments of @forward for a chunk at the current position."""
        ids = np.asarray(tokens, np.int64)
        if len(self.body.args) == 1:
            return [ids]
        rows = self.image_rows
        if rows is None:
            rows = np.zeros(slm.shape_of(self.body.args[2]), np.float32)
        return [ids, self.places[self.position : self.position + len(ids)], rows]

    def run(self, tokens: Sequence[int], chunk: int = BLOCK_KEYS, all_rows: bool = True) -> F32:
        """Appends tokens [T] to the sequence, in steps of at most `chunk` that never cross a multiple of 256 positions.

        If the longer sequence takes other rotary tables, it is processed again from its first token.
        Gives float32 [T, V], or [1, V] of the last token unless all_rows. Raises InterpreterError if there are no tokens,
        for more than the context holds and for tokens outside the vocabulary.
        """
        if chunk < 1 or not tokens:
            raise InterpreterError(f"expected tokens and a positive chunk, found {len(tokens)} tokens by {chunk}")
        length = len(self.tokens) + len(tokens)
        if length > self.context:
            raise InterpreterError(f"{length} tokens are more than the context of {self.context}")
        if any(self.position <= longest < length for longest in self.restarts):
            self.restart()
        self.tokens += tokens
        rows: list[F32] = []
        while self.position < length:
            end = min(length, self.position + min(chunk, BLOCK_KEYS - self.position % BLOCK_KEYS))
            rows.append(self._step(self.tokens[self.position : end], all_rows))
        return np.concatenate(rows)[-len(tokens) :] if all_rows else rows[-1]

    def _step(self, tokens: Sequence[int], all_rows: bool) -> F32:
        """Processes the chunk tokens [T] at the current position, T <= 256 - position % 256.

        Gives logits float32 [T, V], or [1, V] of the last token unless all_rows.
        """
        self.all_rows, self.logits, self.sampled = all_rows, None, None
        self.values.update(zip(self.body.args, self.inputs(tokens), strict=True))
        with np.errstate(all="ignore"):
            results = self.run_block(self.body)
        self.position += len(tokens)
        logits = results[0] if self.logits is None else self.logits
        return logits if all_rows else logits[-1:]

    def generate(
        self,
        prompt: Sequence[int],
        count: int,
        settings: SamplerSettings | None = None,
        stop_tokens: Sequence[int] = (),
        chunk: int = BLOCK_KEYS,
    ) -> Generation:
        """Appends `prompt` to the sequence, then samples up to `count` tokens; a stop token is the last one."""
        self.settings = settings or SamplerSettings()
        generation = Generation()
        pending = list(prompt)
        while len(generation.tokens) < count:
            row = self.run(pending, chunk, all_rows=False)[0]
            token = self.sampled
            if token is None:
                token = sample_token(row, self.settings, self.position - 1)
            generation.tokens.append(token)
            generation.logits.append(row)
            if token in stop_tokens or self.position >= self.context:
                break
            pending = [token]
        return generation

    def run_block(self, block: Block) -> list[NDArray[Any]]:
        """Runs the operations and returns the operands of the terminator."""
        defined: list[SSAValue] = list(block.args)
        results: list[NDArray[Any]] = []
        for op in block.ops:
            if isinstance(op, func.ReturnOp | slm.YieldOp | slmq.YieldOp):
                results = [self.values[value] for value in op.operands]
                break
            handler = self.handlers.get(type(op))
            if handler is None:
                raise InterpreterError("is not an operation of the slmq level", op)
            produced = handler(self, op)
            for value, result in zip(op.results, produced, strict=True):
                self.values[value] = canonical(result) if result.dtype == np.float32 else result
            defined.extend(op.results)
        for value in defined:
            self.values.pop(value, None)
        return results

    @property
    def chunk_tokens(self) -> int:
        """Tokens of the current step."""
        return len(self.values[self.body.args[0]])

    def key(self, weight: WeightAttr) -> str:
        return weight.at(self.layer, self.expert)
