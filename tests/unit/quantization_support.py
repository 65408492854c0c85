"""Models and helpers of the tests of quantisation methods."""

from pathlib import Path

import numpy as np

from compiler.formats import WeightFormat
from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from compiler.quantization.methods import Chain
from compiler.quantization.run import Prepared, prepare
from compiler.schemes import find_scheme
from frontends import load_program

ROOT = Path(__file__).parent.parent.parent
PUBLISHED = ROOT / "tests" / "golden" / "published"
STORYTELLER = ROOT / "examples" / "storyteller"


class Silent:
    """Progress that nobody sees."""

    def say(self, text: str) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        pass


class Collected:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[int, object]]] = {}

    def put_rows(self, name: str, first: int, part: object) -> None:
        self.parts.setdefault(name, []).append((first, part))

    def put_values(self, name: str, first: int, values: object) -> None:
        self.parts.setdefault(name, []).append((first, values))


def published(name: str) -> Program:
    return load_program(PUBLISHED / name)


def golden_tokens(name: str) -> list[int]:
    return np.load(PUBLISHED / name / "golden.npz")["tokens"].astype(int).tolist()


def folded(program: Program, scheme: str, method: str, tokens: list[int]) -> Prepared:
    return prepare(program, find_scheme(scheme), Chain.of(method), tokens, Silent())


def logits_of(program: Program, prepared: Prepared, tokens: list[int]) -> np.ndarray:
    """Of the folded weights before rounding, in float64."""
    changed = Program(program.module, prepared.job.weights, program.architecture, program.config)
    return interpret_slm(changed, tokens, np.float64)


def rounded_by_hand(matrix: np.ndarray, form: WeightFormat) -> np.ndarray:
    """Round to nearest of symmetric formats without sparsity, written from docs/numerics.md: loops over rows and groups."""
    largest = {"i8": 127, "i4": 7}[form.element]
    result = np.empty_like(matrix)
    group = form.group or matrix.shape[1]
    for row in range(len(matrix)):
        for first in range(0, matrix.shape[1], group):
            values = matrix[row, first : first + group]
            scale = np.float32(np.abs(values).max() * np.float32(1 / largest))
            if form.group:
                scale = np.float32(np.float16(scale))
            scale = scale or np.float32(1)
            levels = [min(max(round(float(np.float32(value / scale))), -largest), largest) for value in values]
            result[row, first : first + group] = np.array(levels, np.float32) * scale
    return result
