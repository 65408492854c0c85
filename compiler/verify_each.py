"""--verify-each: verifies the IR after each pass, runs the interpreters of the levels on a short prompt and names the first pass that
changes a bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from compiler.errors import CompileError
from compiler.images import ImageInput, image_shape, places_at
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.interpreters.tile import TileInterpreter, dram_of
from compiler.program import Program
from compiler.transforms.add_sampling import AddSamplingPass
from compiler.transforms.allocate_dram import REGIONS_ATTRIBUTE

PROMPT_TOKENS = 5
GENERATED_TOKENS = 3
Bits = tuple[tuple[int, ...], NDArray[np.uint32]]


class StageVerifier:
    """An observer of run_stages. Behind the conversion to slmq it keeps the golden bits; later levels must give the same.

    `checked` lists the passes that were compared.
    """

    def __init__(self, program: Program, context: int, vocabulary: int):
        self.program, self.context, self.vocabulary = program, context, vocabulary
        rng = np.random.default_rng(0)
        length = max(1, min(PROMPT_TOKENS, context - GENERATED_TOKENS))
        self.count = max(1, min(GENERATED_TOKENS, context - length))
        self.prompt = [int(token) for token in rng.integers(0, vocabulary, length)]
        self.image = self.random_image(rng)
        self.golden: Bits | None = None
        self.checked: list[str] = []

    def random_image(self, rng: np.random.Generator) -> ImageInput | None:
        """Random pixels, if the model takes an image; its first rows take the prompt's positions from 1 on."""
        shape = image_shape(self.program.module)
        if shape is None:
            return None
        count = len(self.prompt)
        places = places_at(1, max(0, min(shape.rows, count - 1)), count)
        return ImageInput(rng.normal(size=shape.pixels).astype(np.float32), places)

    def __call__(self, stage: str, transform: ModulePass | None, module: ModuleOp) -> None:
        if transform is None:
            return
        module.verify()
        if stage not in ("slmq", "tile"):
            return
        bits = self.slmq_bits(module, transform) if stage == "slmq" else self.tile_bits(module)
        if bits is None:
            return
        if self.golden is None:
            self.golden = bits
        same = bits[0] == self.golden[0] and np.array_equal(bits[1], self.golden[1])
        if not same:
            raise CompileError(f"pass {transform.name} of stage {stage} changes the result")
        self.checked.append(transform.name)

    def slmq_bits(self, module: ModuleOp, transform: ModulePass) -> Bits | None:
        """None until add-sampling has run: before that there is nothing to generate with."""
        if self.golden is None and not isinstance(transform, AddSamplingPass):
            return None
        interpreter = SlmqInterpreter(module, self.program.weights, self.context)
        self.show_to(interpreter)
        result = interpreter.generate(self.prompt, self.count)
        interpreter.reset()
        self.show_to(interpreter)
        logits = interpreter.run([*self.prompt, *result.tokens[:-1]])
        return tuple(result.tokens), logits.view(np.uint32)

    def show_to(self, interpreter: SlmqInterpreter) -> None:
        if self.image is not None:
            interpreter.show(self.image)

    def tile_bits(self, module: ModuleOp) -> Bits | None:
        """None before allocate-dram: DRAM has no content yet."""
        if REGIONS_ATTRIBUTE not in module.attributes or not any(op.name == "tile.alloc" for op in module.walk()):
            return None
        rows = len(self.prompt) + self.count - 1
        dram = dram_of(module, self.program, rows, self.vocabulary)
        interpreter = TileInterpreter(module, dram)
        interpreter.show(self.image)
        tokens, logits = interpreter.generate(self.prompt, self.count)
        return tuple(tokens), np.ascontiguousarray(logits).view(np.uint32)
