"""What a checkpoint table computes from a stored tensor, applied to random numbers: A = -exp("A_log") is negative then too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frontends.configuration.evaluator import Evaluator
from frontends.language import syntax
from frontends.language.syntax import Expression
from frontends.weights.rows import WeightRow

Formula = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def tensor_formulas(rows: Mapping[str, WeightRow], evaluator: Evaluator) -> dict[str, Formula]:
    """Weight path -> its formula, for tensors used as values: of other kinds the size of random numbers is known."""
    return {
        path: _formula(row.row.source, row.environment, evaluator)
        for path, row in rows.items()
        if row.weight.kind == "tensor"
    }


def _formula(expression: Expression, environment: Mapping[str, Any], evaluator: Evaluator) -> Formula:
    """Of signs and exponentials; anything else is a stored tensor."""
    match expression:
        case syntax.Unary(operator="-"):
            inner = _formula(expression.operand, environment, evaluator)
            return lambda x: -inner(x)
        case syntax.Call(function=syntax.Name(name="exp")):
            inner = _formula(expression.arguments[0].value, environment, evaluator)
            return lambda x: np.exp(inner(x))
        case syntax.Conditional():
            chosen = evaluator.condition(expression.condition, environment)
            return _formula(expression.value if chosen else expression.otherwise, environment, evaluator)
        case _:
            return lambda x: x
