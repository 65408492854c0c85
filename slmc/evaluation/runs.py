"""What gives logits for a window: the reference in floating point, a scheme's exact numbers, an executable on the simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import simulator.session
from compiler.driver import Options, lower
from compiler.interpreters.residuals import Residuals, WatchedSlm, WatchedSlmq
from compiler.program import Program
from isa.abi import RunFlag
from isa.container import Executable
from isa.machine import load_machine
from slmc.building import DEFAULT_MACHINE

REFERENCE_BYTES = 512 << 20
"""What the reference keeps of windows for the next scheme; later windows are computed again."""


@dataclass(frozen=True)
class Outputs:
    """logits float32 [T, V] of a window's tokens; the residual stream behind each layer, empty where it is not known."""

    logits: NDArray[np.float32]
    residuals: Residuals = field(default_factory=Residuals)

    @property
    def size_bytes(self) -> int:
        return self.logits.nbytes + sum(array.nbytes for array in self.residuals.values())


class Run(Protocol):
    """Something that can be evaluated."""

    def outputs(self, tokens: Sequence[int]) -> Outputs:
        """Of a sequence that begins at position 0, in an empty state."""
        ...


class Reference:
    """The model as published: the slm interpreter in float32. The first windows are kept."""

    def __init__(self, program: Program, most_bytes: int = REFERENCE_BYTES):
        self.program, self.room_bytes = program, most_bytes
        self.kept: dict[tuple[int, ...], Outputs] = {}

    def outputs(self, tokens: Sequence[int]) -> Outputs:
        key = tuple(tokens)
        if key in self.kept:
            return self.kept[key]
        run = WatchedSlm(self.program, tokens)
        made = Outputs(run.logits(), run.residuals)
        if made.size_bytes <= self.room_bytes:
            self.room_bytes -= made.size_bytes
            self.kept[key] = made
        return made


class Quantised:
    """A program in a scheme, by the slmq interpreter: the bits of the executable. Raises CompileError."""

    def __init__(self, program: Program, scheme: str, context: int):
        # No pass of the stage depends on machine or context.
        module = lower(program, Options(load_machine(DEFAULT_MACHINE), scheme, context), stop_after="slmq")
        self.interpreter = WatchedSlmq(module, program.weights, context)

    def outputs(self, tokens: Sequence[int]) -> Outputs:
        self.interpreter.reset()
        logits = self.interpreter.run(tokens)
        return Outputs(logits, self.interpreter.residuals)


class Simulated:
    """An executable on the simulator, which dumps the logits of all positions. Raises SessionError."""

    def __init__(self, executable: Executable):
        self.session = simulator.session.Session(executable)

    def outputs(self, tokens: Sequence[int]) -> Outputs:
        self.session.reset()
        for _ in self.session.generate(tokens, 1, dump=RunFlag.DUMP_ALL):
            pass
        return Outputs(self.session.logits())
