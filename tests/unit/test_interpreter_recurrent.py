"""Convolution, scan and softplus of the interpreters against scalar forms of docs/numerics.md, and how their states are kept."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from compiler.dialects.slm import Slm
from compiler.dialects.slmq import Slmq
from compiler.interpreters import slmq_functions as functions
from compiler.interpreters import slmq_recurrent as kernels
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Program

F = np.float32
VALUES = [0.0, -0.0, 1e-40, -1e-40, 0.3, -0.3, 1.0, -1.0, 15.0, -15.0, 20.0, -20.0, 88.0, -90.0, -104.0, 3e38, -3e38]
ARRAYS = {
    "e": np.random.default_rng(1).normal(size=(9, 6)),
    "f": np.random.default_rng(2).normal(size=(9, 5)),
    "w": np.random.default_rng(3).normal(size=(6, 4)),
    "b": np.random.default_rng(4).normal(size=6),
    "a": -np.random.default_rng(5).uniform(0.1, 3, (6, 5)),
}
TOKENS = [0, 3, 8, 2, 5, 1, 7, 4, 6, 2, 0, 8]


class Weights:
    """A WeightStore over a dictionary."""

    def names(self) -> list[str]:
        return list(ARRAYS)

    def shape(self, name: str) -> tuple[int, ...]:
        return ARRAYS[name].shape

    def storage_dtype(self, name: str) -> str:
        return "f32"

    def alias_of(self, name: str) -> str | None:
        return None

    def integer_format(self, name: str) -> None:
        return None

    def quantized(self, name: str) -> None:
        return None

    def load(self, name: str) -> np.ndarray:
        return ARRAYS[name].astype(np.float32)


def module_of(dialect: str, body: str) -> ModuleOp:
    """tokens %t -> %e [T, 6], %f [T, 5] -> %r [T, 6]."""
    embed, form = ("embedding", "") if dialect == "slm" else ("embed", ' as "f32"')
    table = '%{0} = {1}.{2} %t, #slm.weight<"{0}", tensor<9x{3}xf32>>{4} : tensor<?xi32> -> tensor<?x{3}xf32>\n'
    given = table.format("e", dialect, embed, 6, form) + table.format("f", dialect, embed, 5, form)
    text = f"func.func @forward(%t: tensor<?xi32>) -> tensor<?x6xf32> {{\n{given}{body}\nfunc.return %r : tensor<?x6xf32>\n}}"
    context = Context()
    for known in (Builtin, Func, Slm, Slmq):
        context.load_dialect(known)
    module = Parser(context, text.replace("DIALECT", dialect)).parse_module()
    module.verify()
    return module


CONV = '%r = DIALECT.causal_conv %e, #slm.weight<"w", tensor<6x4xf32>> bias #slm.weight<"b", tensor<6xf32>> state "c" : tensor<?x6xf32>'
SCAN = (
    '%a = DIALECT.tensor #slm.weight<"a", tensor<6x5xf32>> : tensor<6x5xf32>\n'
    '%d = DIALECT.activation "softplus" %e : tensor<?x6xf32>\n'
    '%r = DIALECT.selective_scan %e, %d, %a, %f, %f state "s"'
    " : tensor<?x6xf32>, tensor<6x5xf32>, tensor<?x5xf32>, tensor<?x5xf32>"
)


def assert_same_bits(found: np.ndarray, expected: object) -> None:
    wanted = np.asarray(expected, np.float32)
    np.testing.assert_array_equal(np.asarray(found).view(np.uint32), wanted.view(np.uint32))


def nearest(function: Callable[[Any], Any], x: np.float32) -> np.float32:
    """The float32 nearest to the exact function."""
    with mpmath.workprec(200):
        value = function(mpmath.mpf(float(x)))
        return functions.f32_constant(0 if abs(value) < 2**-200 else Fraction(*value.as_integer_ratio()))


def scalar_sum(terms: list[np.float32]) -> np.float32:
    level = [*terms, *[F(0)] * (-len(terms) % 32)]
    total = F(0)
    for first in range(0, len(level), 32):
        lanes = level[first : first + 32]
        for half in (16, 8, 4, 2, 1):
            lanes = [lanes[i] + lanes[i + half] for i in range(half)]
        total = total + lanes[0]
    return total


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(("taps", "tokens", "bias"), [(1, 3, True), (2, 1, False), (3, 7, True), (5, 2, False)])
def test_convolution(taps: int, tokens: int, bias: bool) -> None:
    rng = np.random.default_rng(taps)
    rows, weight = (rng.normal(size=size).astype(F) for size in ((taps - 1 + tokens, 3), (3, taps)))
    added = rng.normal(size=3).astype(F) if bias else None
    expected = np.zeros((tokens, 3), np.float32)
    for t in range(tokens):
        for c in range(3):
            y = rows[t, c] * weight[c, 0]
            for tap in range(1, taps):
                y = (rows[t + tap, c] * weight[c, tap]) + y
            expected[t, c] = y if added is None else y + added[c]
    assert_same_bits(kernels.causal_conv(rows, weight, added), expected)


@pytest.mark.parametrize(("tokens", "entries"), [(1, 1), (4, 3), (3, 16), (2, 40)])
def test_scan(tokens: int, entries: int) -> None:
    rng = np.random.default_rng(entries)
    u, dt, b, c = (rng.normal(size=(tokens, size)).astype(F) for size in (2, 2, entries, entries))
    a, h = (rng.normal(size=(2, entries)).astype(F) for _ in range(2))
    dt, state = np.abs(dt), h.copy()
    expected = np.zeros_like(u)
    for t in range(tokens):
        for channel in range(2):
            for n in range(entries):
                decay = nearest(mpmath.exp, dt[t, channel] * a[channel, n])
                state[channel, n] = (state[channel, n] * decay) + ((dt[t, channel] * u[t, channel]) * b[t, n])
            expected[t, channel] = scalar_sum([state[channel, n] * c[t, n] for n in range(entries)])
    y, after = kernels.selective_scan(u, dt, a, b, c, h)
    assert_same_bits(y, expected)
    assert_same_bits(after, state)


def scalar_softplus(x: np.float32) -> np.float32:
    e = nearest(mpmath.exp, np.abs(x) * F(-1))
    v = (e + F(1)) - F(1)
    return np.maximum(x, F(0)) + (nearest(mpmath.log, v + F(1)) + (e - v))


def test_softplus() -> None:
    x = np.concatenate([np.array(VALUES), np.random.default_rng(6).uniform(-25, 25, 200)]).astype(F)
    assert_same_bits(functions.ACTIVATIONS["softplus"](x), [scalar_softplus(value) for value in x])
    at_the_edges = functions.ACTIVATIONS["softplus"](np.array([math.inf, -math.inf, math.nan], F))
    assert_same_bits(functions.canonical(at_the_edges), functions.canonical(np.array([math.inf, 0.0, math.nan], F)))


def test_softplus_is_within_three_units_in_the_last_place() -> None:
    x = np.random.default_rng(7).uniform(-87, 30, 20000).astype(F)
    exact = np.log1p(np.exp(x.astype(np.float64)))
    found = functions.ACTIVATIONS["softplus"](x)
    assert (np.abs(found - exact) / np.spacing(found).astype(np.float64)).max() <= 3


def program(body: str) -> Program:
    return Program(module_of("slm", body), Weights(), "test", {})  # type: ignore[arg-type]


def test_convolution_of_the_architecture() -> None:
    x, w = Weights().load("e")[TOKENS].astype(np.float64), Weights().load("w").astype(np.float64)
    expected = [
        [
            sum(w[c, j] * x[t - 3 + j, c] for j in range(4) if t - 3 + j >= 0) + float(Weights().load("b")[c])
            for c in range(6)
        ]
        for t in range(len(TOKENS))
    ]
    np.testing.assert_allclose(interpret_slm(program(CONV), TOKENS), expected, rtol=1e-6)


def test_scan_of_the_architecture() -> None:
    """Also written as a sum over the past: y_t = sum over s <= t of C_t B_s dt_s u_s exp(A (dt_{s+1} + .. + dt_t))."""
    u, b = (Weights().load(name)[TOKENS].astype(np.float64) for name in ("e", "f"))
    a, dt = Weights().load("a").astype(np.float64), np.log1p(np.exp(u))
    reach = np.cumsum(dt, axis=0)
    expected = np.zeros_like(u)
    for t in range(len(TOKENS)):
        for s in range(t + 1):
            decay = np.exp(a * (reach[t] - reach[s])[:, None])
            expected[t] += (decay * b[t] * b[s]).sum(axis=1) * dt[s] * u[s]
    np.testing.assert_allclose(interpret_slm(program(SCAN), TOKENS), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("body", [CONV, SCAN])
def test_chunks_change_no_bit_and_a_reset_forgets(body: str) -> None:
    run = SlmqInterpreter(module_of("slmq", body), Weights(), 64)
    whole = run.run(TOKENS)
    for chunk in (1, 2, 5):
        run.reset()
        assert_same_bits(run.run(TOKENS, chunk), whole)
    assert not np.array_equal(run.run(TOKENS), whole)  # goes on from where it is
    np.testing.assert_allclose(whole, interpret_slm(program(body), TOKENS), rtol=0, atol=1e-5)


def test_a_state_has_one_owner() -> None:
    twice = CONV.replace("%r", "%g") + "\n" + CONV.replace("%e", "%g")
    with pytest.raises(InterpreterError, match='two operations own the state "c"'):
        SlmqInterpreter(module_of("slmq", twice), Weights(), 64).run(TOKENS)
    mixed = CONV.replace("%r", "%g").replace('state "c"', 'state "s"') + "\n" + SCAN
    with pytest.raises(InterpreterError, match='two operations own the state "s"'):
        SlmqInterpreter(module_of("slmq", mixed), Weights(), 64).run(TOKENS)
