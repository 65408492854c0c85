"""Softmax, choices and mixtures of the interpreters against scalar Python."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from compiler.dialects.slm import Slm
from compiler.dialects.slmq import Slmq
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.interpreters.slmq_routing import softmax, top_k
from compiler.program import Program
from tests.unit.test_interpreter_slmq import Weights

F = np.float32
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, 2.5, math.inf, -math.inf, math.nan, 1e-42, 3e38, -3e38]
numbers = st.one_of(st.sampled_from(SPECIAL), st.floats(-50, 50, width=32), st.floats(width=32))
QUIET = settings(deadline=None, max_examples=150)


def scalar_sum(terms: list[np.float32]) -> np.float32:
    """sum_fp of docs/numerics.md section 2."""
    total = F(0)
    for first in range(0, len(terms), 32):
        lanes = terms[first : first + 32] + [F(0)] * (32 - len(terms[first : first + 32]))
        while len(lanes) > 1:
            half = len(lanes) // 2
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        total = total + lanes[0]
    return total


def scalar_exp(x: np.float32) -> np.float32:
    """Rounded twice, which a random argument does not show; that exp is correctly rounded is tested elsewhere."""
    with mpmath.workprec(200):
        return F(float(mpmath.exp(mpmath.mpf(float(x)))))


def scalar_softmax(row: list[np.float32]) -> list[np.float32]:
    largest = max(row)
    powers = [scalar_exp(x - largest) for x in row]
    inverse = F(1) / scalar_sum(powers)
    return [p * inverse for p in powers]


def scalar_top_k(row: list[np.float32], count: int) -> tuple[list[np.float32], list[int]]:
    candidates = [(-float(x), j) for j, x in enumerate(row) if not math.isnan(x) and x != -math.inf]
    chosen = [j for _, j in sorted(candidates)[:count]]
    kept = [x if j in chosen else F(0) for j, x in enumerate(row)]
    return kept, chosen + [-1] * (count - len(chosen))


def bits(values: Any) -> list[int]:
    return np.asarray(values, F).view(np.uint32).ravel().tolist()


@QUIET
@given(st.lists(st.floats(-60, 60, width=32), min_size=1, max_size=70))
def test_softmax_of_a_row(row: list[float]) -> None:
    assert bits(softmax(np.array([[row]], F))) == bits(scalar_softmax([F(x) for x in row]))


def test_softmax_of_what_is_not_finite() -> None:
    with np.errstate(all="ignore"):
        y = softmax(np.array([[1, math.nan], [-math.inf, -math.inf], [math.inf, 0], [-math.inf, 3]], F))
    assert np.isnan(y[:2]).all() and np.isnan(y[2, 0])
    assert bits(y[3]) == bits([0.0, 1.0])


@QUIET
@given(st.lists(numbers, min_size=1, max_size=40), st.data())
def test_choice_from_a_row(row: list[float], data: st.DataObject) -> None:
    """Of equal values the first, +0 and -0 being equal; NaN and -inf never. The kept values have their own bits."""
    count = data.draw(st.integers(1, len(row)))
    values = [F(x) for x in row]
    kept, chosen = top_k(np.array([[values]], F), count)
    expected, indices = scalar_top_k(values, count)
    assert chosen.dtype == np.int32 and chosen.shape == (1, 1, count) and chosen.ravel().tolist() == indices
    assert bits(kept) == bits(expected)


ROUTED = """
func.func @forward(%t: tensor<?xi32>) -> tensor<?x6xf32> {
  %x = slm.embedding %t, #slm.weight<"e", tensor<9x6xf32>> : tensor<?xi32> -> tensor<?x6xf32>
  %l = slm.linear %x, #slm.weight<"router", tensor<5x6xf32>> : tensor<?x6xf32> -> tensor<?x5xf32>
  %s = slm.softmax %l : tensor<?x5xf32>
  %p, %c = slm.top_k %s count 2 : tensor<?x5xf32>, tensor<?x2xi32>
  %z = slm.reduce_sum %p : tensor<?x5xf32> -> tensor<?x1xf32>
  %w = slm.div %p, %z : tensor<?x5xf32>, tensor<?x1xf32> -> tensor<?x5xf32>
  %y = slm.mixture "experts" 5(%x, %l) weights %w CHOSEN {
  ^bb0(%g: tensor<?x6xf32>, %m: tensor<?x5xf32>):
    %d = slm.linear %g, #slm.weight<"experts.{e}.up", tensor<6x6xf32>> : tensor<?x6xf32> -> tensor<?x6xf32>
    %k = slm.column %m : tensor<?x5xf32> -> tensor<?x1xf32>
    %n = slm.column %m at 3 : tensor<?x5xf32> -> tensor<?x1xf32>
    %a = slm.add %d, %k : tensor<?x6xf32>, tensor<?x1xf32> -> tensor<?x6xf32>
    %b = slm.mul %a, %n : tensor<?x6xf32>, tensor<?x1xf32> -> tensor<?x6xf32>
    slm.yield %b : tensor<?x6xf32>
  } : tensor<?x6xf32>, tensor<?x5xf32> weights tensor<?x5xf32> CHOSENTYPE -> tensor<?x6xf32>
  func.return %y : tensor<?x6xf32>
}
"""
SPARSE = {"CHOSENTYPE": "chosen tensor<?x2xi32>", "CHOSEN": "chosen %c"}
DENSE = {"CHOSENTYPE": "", "CHOSEN": ""}
TOKENS = [0, 3, 8, 3, 1, 5]


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    names = {"e": (9, 6), "router": (5, 6)} | {f"experts.{e}.up": (6, 6) for e in range(5)}
    return {name: rng.normal(size=shape).astype(F) for name, shape in names.items()}


def parsed(text: str, changes: dict[str, str]) -> ModuleOp:
    for old, new in changes.items():
        text = text.replace(old, new)
    context = Context()
    for dialect in (Builtin, Func, Slm, Slmq):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return module


def scalar_mixture(weights: dict[str, np.ndarray], token: int, sparse: bool) -> list[np.float32]:
    """One token, one expert, one element at a time, in binary32."""
    x = list(weights["e"][token])
    logits = [scalar_sum([a * b for a, b in zip(x, row, strict=True)]) for row in weights["router"]]
    p, chosen = scalar_top_k(scalar_softmax(logits), 2)
    total = scalar_sum(p)
    y = [F(0)] * 6
    for expert in range(5):
        if sparse and expert not in chosen:
            continue
        for n, row in enumerate(weights[f"experts.{expert}.up"]):
            product = scalar_sum([a * b for a, b in zip(x, row, strict=True)])
            y[n] = y[n] + ((product + logits[expert]) * logits[3]) * (p[expert] / total)
    return y


@pytest.mark.parametrize("chosen", [SPARSE, DENSE])
def test_mixture_of_slm(chosen: dict[str, str]) -> None:
    weights = arrays()
    program = Program(parsed(ROUTED, chosen), Weights(weights), "test", {})
    expected = [scalar_mixture(weights, token, chosen is SPARSE) for token in TOKENS]
    np.testing.assert_allclose(interpret_slm(program, TOKENS), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("chosen", [SPARSE, DENSE])
def test_mixture_of_slmq(chosen: dict[str, str]) -> None:
    """Chosen experts in ascending order, and the product with the weight is rounded before the sum: every bit."""
    weights = arrays()
    text = ROUTED.replace("slm.", "slmq.")
    for name in ("weight", "mixture", "yield"):
        text = text.replace(f"slmq.{name}", f"slm.{name}")
    text = text.replace("slmq.linear", "slmq.matmul").replace("slmq.embedding", "slmq.embed")
    text = text.replace("xf32>> :", 'xf32>> as "f32" :')
    interpreter = SlmqInterpreter(parsed(text, chosen), Weights(weights), 16)
    expected = [scalar_mixture(weights, token, chosen is SPARSE) for token in TOKENS]
    for chunk in (1, 4, 6):
        interpreter.reset()
        assert bits(interpreter.run(TOKENS, chunk)) == bits(expected)
