"""What a method is given, and the form that methods have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from compiler.formats import Quantized, WeightFormat
from compiler.program import Program
from compiler.quantization.folding import FoldedWeights
from compiler.quantization.uses import Use

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Progress(Protocol):
    """Who is told how far the work is."""

    def say(self, text: str) -> None:
        """The work has come to the step `text`."""
        ...

    def count(self, done: int, total: int) -> None:
        """`done` of `total` parts of the step are done."""
        ...


@dataclass(frozen=True)
class Job:
    """A model on its way to `formats`: weight name -> its quantised format, other weights stay floats.

    weights: those of the program with what methods have folded into them so far. tokens: of the calibration, may be empty.
    notes: what the user should know of the result; methods add to them.
    """

    program: Program
    weights: FoldedWeights
    formats: dict[str, WeightFormat]
    uses: dict[str, list[Use]]
    tokens: Sequence[int]
    progress: Progress
    notes: list[str] = field(default_factory=list[str])

    def places(self, op: Operation) -> list[Use]:
        """The layers and experts that an operation with weights runs in."""
        return list(dict.fromkeys(use for uses in self.uses.values() for use in uses if use.op is op))

    def used_once(self, name: str) -> bool:
        """Whether nothing else would notice a change of the weight. A tie does not matter: it ends with the change."""
        return len(self.uses[name]) == 1


@dataclass(frozen=True)
class Task:
    """One matrix to be rounded: float32 [N, K], and the rows [T, K] of inputs that the calibration gave it.

    kept: which weights are not set to 0, where the format is sparse.
    """

    name: str
    matrix: F32
    form: WeightFormat
    inputs: F32
    kept: Mask | None = None


@dataclass(frozen=True)
class Method:
    """fold: changes weights so that the function of the model stays what it is. importance: of each weight of a matrix [N, K],
    given inputs [T, K]; of four, the two most important are kept. round: matrix to integers. calibrated: `fold` needs tokens.

    A method has at least one of the three; `source` is where it was published.
    """

    name: str
    summary: str
    source: str
    fold: Callable[[Job], None] | None = None
    calibrated: bool = False
    importance: Callable[[F32, F32], F32] | None = None
    needs_inputs: bool = False
    """Of `importance`."""
    round: Callable[[Task], Quantized] | None = None
