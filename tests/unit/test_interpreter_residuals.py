"""The residual stream that is watched is the one the logits come from; watching changes no bit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compiler.driver import lower
from compiler.interpreters.residuals import LayerErrors, WatchedSlm, WatchedSlmq
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from tests.end_to_end.e2e_support import assert_same_bits, options, prompt_of, tiny_program

TOKENS = prompt_of(21, 67)


def normed(x: np.ndarray, weight: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    return x / np.sqrt((x * x).mean(axis=1, keepdims=True) + eps) * weight


def test_slm_hands_out_what_the_head_reads() -> None:
    program = tiny_program(num_hidden_layers=2)
    run = WatchedSlm(program, TOKENS)
    logits = run.logits()
    assert_same_bits(logits, interpret_slm(program, TOKENS, np.float32))
    assert list(run.residuals) == [("layers", 0), ("layers", 1)]
    last = run.residuals["layers", 1].astype(np.float64)
    weights = {name: program.weights.load(name).astype(np.float64) for name in program.weights.names()}
    table = next(value for value in weights.values() if value.shape == (67, 24))
    final = next(value for name, value in weights.items() if value.shape == (24,) and "layers" not in name)
    np.testing.assert_allclose(normed(last, final) @ table.T, logits, rtol=1e-4, atol=1e-5)
    one = WatchedSlm(tiny_program(num_hidden_layers=1), TOKENS)  # the same seed gives layer 0 the same weights
    one.logits()
    assert_same_bits(run.residuals["layers", 0], one.residuals["layers", 0])


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
def test_slmq_keeps_the_stream_of_all_chunks_and_no_other_sequence(scheme: str) -> None:
    program, chosen = tiny_program(num_hidden_layers=2), options("edge", scheme, 64)
    module = lower(program, chosen, "slmq")
    whole, cut = (WatchedSlmq(module, program.weights, 64) for _ in range(2))
    cut.run(TOKENS[::-1])
    cut.reset()
    assert not cut.residuals
    logits = whole.run(TOKENS)
    assert_same_bits(logits, SlmqInterpreter(module, program.weights, 64).run(TOKENS))
    assert_same_bits(logits, cut.run(TOKENS, chunk=5))
    assert list(whole.residuals) == [("layers", 0), ("layers", 1)]
    exact = WatchedSlm(program, TOKENS)
    exact.logits()
    for name, stream in whole.residuals.items():
        assert_same_bits(stream, cut.residuals[name])
        error = np.linalg.norm(stream - exact.residuals[name]) / np.linalg.norm(exact.residuals[name])
        assert error < (1e-5 if scheme == "fp32" else 0.1)


def test_errors_are_relative_to_the_exact_values_over_all_windows() -> None:
    errors, a, b = LayerErrors(), ("layers", 0), ("layers", 1)
    zero = np.zeros((1, 2), np.float32)
    errors.add({a: np.array([[3, 4]], np.float32), b: zero}, {a: np.array([[3, 5]], np.float32), b: zero})
    errors.add({a: np.array([[0, 5]], np.float32)}, {a: np.array([[2, 5]], np.float32), b: zero})
    assert errors.relative() == {a: pytest.approx(math.sqrt(5 / 50)), b: 0}


def test_streams_that_cannot_be_compared_are_left_out() -> None:
    errors, name = LayerErrors(), ("layers", 0)
    errors.add({name: np.zeros((2, 3), np.float32)}, {name: np.zeros((2, 4), np.float32)})
    errors.add({name: np.zeros((2, 3), np.float32)}, {})
    assert errors.relative() == {}
    errors.add({name: np.ones((1, 1), np.float32)}, {name: np.full((1, 1), np.nan, np.float32)})
    assert math.isnan(errors.relative()[name])
