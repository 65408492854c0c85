"""Runs the interpreters of the IR levels on a loaded program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiler.driver import Options, lower
from compiler.images import ImageInput, places_at
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Program
from isa.machine import load_machine
from slmc.building import DEFAULT_MACHINE
from slmc.errors import CommandError
from slmc.pictures import PictureInput
from slmc.progress import steps


def image_input(program: Program, picture: Path, first: int, tokens: int) -> ImageInput:
    """The image of a file, its rows at positions `first` and following of so many tokens. Raises CommandError."""
    port = PictureInput.of_program(program)
    if first + port.rows > tokens:
        raise CommandError(f"the image takes positions {first} to {first + port.rows - 1}, there are {tokens} tokens")
    return ImageInput(port.pixels(picture), places_at(first, port.rows, tokens))


def interpret_level(
    program: Program, level: str, scheme: str, tokens: Sequence[int], image: ImageInput | None = None
) -> NDArray[np.float32]:
    """Logits float32 [tokens, vocabulary] at level `slm` (float64 inside) or `slmq` (bit-exact, of the scheme)."""
    if program.max_positions and len(tokens) > program.max_positions:
        raise CommandError(f"{len(tokens)} tokens are more than the model's {program.max_positions} positions")
    with steps() as progress:
        progress.say(f"interpret {level}")
        if level == "slm":
            return interpret_slm(program, tokens, image=image).astype(np.float32)
        # No pass of the stage depends on machine or context.
        options = Options(load_machine(DEFAULT_MACHINE), scheme, context=len(tokens))
        module = lower(program, options, stop_after="slmq")
        interpreter = SlmqInterpreter(module, program.weights, len(tokens))
        if image is not None:
            interpreter.show(image)
        return interpreter.run(tokens)
