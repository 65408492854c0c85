"""NumPy interpreter of the slm dialect: a whole sequence in float64 or float32.

It is the judge against published models: no key-value state, no chunks, no fused steps, one formula per operation.
Memory is bounded by the values of one layer and one weight; a large weight is cast by blocks of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.images import ImageInput
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slm.operations import HANDLERS
from compiler.interpreters.slm.run import Array, SlmRun
from compiler.program import Program


def interpret_slm(
    program: Program,
    tokens: Sequence[int],
    dtype: type[np.floating[Any]] = np.float64,
    image: ImageInput | None = None,
) -> Array:
    """Logits float32 [T, V] of tokens [T], computed in `dtype` and rounded at the end.

    The rows of an image take the places that it names. Raises InterpreterError if the module has no `forward` or an
    operation of another level, a token is not in the vocabulary, or the image does not fit the model.
    """
    if not tokens:
        raise InterpreterError("an empty prompt has no logits")
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return SlmRun(program.weights, np.asarray(tokens, np.int64), dtype, HANDLERS).run(program.module, image)
