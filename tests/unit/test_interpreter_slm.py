"""The slm interpreter against a float64 forward pass written out by hand, and against the published vectors."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from compiler.dialects.slm import Slm
from compiler.interpreters.errors import InterpreterError
from compiler.interpreters.slm import interpret_slm
from compiler.interpreters.slm.operations import ACTIVATIONS
from compiler.program import Program
from frontends import load_program

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
TOLERANCE = 2e-4


class Weights:
    """A WeightStore over a dictionary."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self.arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}

    def names(self) -> list[str]:
        return list(self.arrays)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.arrays[name].shape

    def storage_dtype(self, name: str) -> str:
        return "f32"

    def alias_of(self, name: str) -> str | None:
        return None

    def integer_format(self, name: str) -> None:
        return None

    def quantized(self, name: str) -> None:
        return None

    def load(self, name: str) -> np.ndarray:
        return self.arrays[name]


def program(text: str, arrays: Mapping[str, np.ndarray]) -> Program:
    context = Context()
    for dialect in (Builtin, Func, Slm):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return Program(module=module, weights=Weights(arrays), architecture="test", config={})


ATTENTION = """
func.func @forward(%t: tensor<?xi32>) -> tensor<?x4x4xf32> {
  %e = slm.embedding %t, #slm.weight<"e", tensor<9x8xf32>> : tensor<?xi32> -> tensor<?x8xf32>
  %q = slm.linear %e, #slm.weight<"q", tensor<16x8xf32>> : tensor<?x8xf32> -> tensor<?x4x4xf32>
  %k = slm.linear %e, #slm.weight<"k", tensor<8x8xf32>> bias #slm.weight<"kb", tensor<8xf32>>
      : tensor<?x8xf32> -> tensor<?x2x4xf32>
  %v = slm.linear %e, #slm.weight<"v", tensor<8x8xf32>> : tensor<?x8xf32> -> tensor<?x2x4xf32>
  %a = slm.attention %q, %k, %v state "kv" scale 0.25 WINDOW SOFTCAP
      : tensor<?x4x4xf32>, tensor<?x2x4xf32>, tensor<?x2x4xf32> -> tensor<?x4x4xf32>
  func.return %a : tensor<?x4x4xf32>
}
"""


def attention_by_hand(arrays, tokens, window, softcap):
    """One query, one head, one key at a time."""
    arrays = {name: np.asarray(array, np.float32).astype(np.float64) for name, array in arrays.items()}
    e = arrays["e"][tokens]
    q = (e @ arrays["q"].T).reshape(-1, 4, 4)
    k = (e @ arrays["k"].T + arrays["kb"]).reshape(-1, 2, 4)
    v = (e @ arrays["v"].T).reshape(-1, 2, 4)
    result = np.zeros_like(q)
    for t in range(len(tokens)):
        for head in range(4):
            keys = [j for j in range(t + 1) if window is None or j > t - window]
            scores = [0.25 * (q[t, head] @ k[j, head // 2]) for j in keys]
            if softcap is not None:
                scores = [softcap * np.tanh(score / softcap) for score in scores]
            weights = np.exp(scores) / np.exp(scores).sum()
            result[t, head] = sum(weight * v[j, head // 2] for weight, j in zip(weights, keys, strict=True))
    return result


@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("softcap", [None, 0.5])
def test_attention_with_groups_window_and_softcap(window, softcap):
    rng = np.random.default_rng(1)
    arrays = {"e": rng.normal(size=(9, 8)), "q": rng.normal(size=(16, 8)), "k": rng.normal(size=(8, 8))}
    arrays |= {"v": rng.normal(size=(8, 8)), "kb": rng.normal(size=8)}
    text = ATTENTION.replace("WINDOW", "" if window is None else f"window {window}")
    text = text.replace("SOFTCAP", "" if softcap is None else f"softcap {softcap}")
    tokens = [3, 1, 4, 1, 5, 8, 2, 6]
    expected = attention_by_hand(arrays, tokens, window, softcap)
    np.testing.assert_allclose(interpret_slm(program(text, arrays), tokens), expected, atol=1e-6)
    np.testing.assert_allclose(interpret_slm(program(text, arrays), tokens, np.float32), expected, atol=1e-5)


LAYERS = """
func.func @forward(%t: tensor<?xi32>) -> tensor<?x8xf32> {
  %e = slm.embedding %t, #slm.weight<"e", tensor<9x8xf32>> : tensor<?xi32> -> tensor<?x8xf32>
  %y = slm.layers "layers" [0, 1, 0] (%e) {
  ^bb0(%x: tensor<?x8xf32>):
    %h = slm.rms_norm %x, #slm.weight<"layers.{i}.norm.weight", tensor<8xf32>> eps 0.01 offset 1.0 axes 1
        : tensor<?x8xf32>
    %o = slm.add %x, %h : tensor<?x8xf32>, tensor<?x8xf32> -> tensor<?x8xf32>
    slm.yield %o : tensor<?x8xf32>
  } {
  ^bb0(%x: tensor<?x8xf32>):
    %c = slm.constant 3.0 : tensor<f32>
    %o = slm.mul %x, %c : tensor<?x8xf32>, tensor<f32> -> tensor<?x8xf32>
    slm.yield %o : tensor<?x8xf32>
  } : tensor<?x8xf32> -> tensor<?x8xf32>
  func.return %y : tensor<?x8xf32>
}
"""


def test_rolled_layers_of_two_kinds():
    rng = np.random.default_rng(2)
    names = ("e", "layers.0.norm.weight", "layers.2.norm.weight")
    arrays = dict(zip(names, (rng.normal(size=(9, 8)), rng.normal(size=8), rng.normal(size=8)), strict=True))
    x = np.asarray(arrays["e"], np.float32).astype(np.float64)[[0, 8, 8]]

    def normed(x, name):
        mean_square = (x**2).mean(axis=1, keepdims=True)
        return x + x / np.sqrt(mean_square + 0.01) * (arrays[name] + 1)

    expected = normed(3 * normed(x, names[1]), names[2])
    np.testing.assert_allclose(interpret_slm(program(LAYERS, arrays), [0, 8, 8]), expected, rtol=1e-5)


def test_rope_rotates_pairs_of_halves_and_leaves_the_rest():
    text = """
    func.func @forward(%t: tensor<?xi32>) -> tensor<?x1x6xf32> {
      %e = slm.embedding %t, #slm.weight<"e", tensor<3x1x6xf32>> : tensor<?xi32> -> tensor<?x1x6xf32>
      %r = slm.rope %e, #slm.rotary<4, 100.0, 0, 0, {}> : tensor<?x1x6xf32>
      func.return %r : tensor<?x1x6xf32>
    }
    """
    row = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    result = interpret_slm(program(text, {"e": np.stack([row, row, row])[:, None]}), [0, 1, 2])[:, 0]
    for position in range(3):
        # Frequencies 1 and 1/10: complex multiplication is an independent form of the rotation.
        pairs = np.array([1 + 3j, 2 + 4j]) * np.exp(1j * position * np.array([1.0, 0.1]))
        expected = [pairs[0].real, pairs[1].real, pairs[0].imag, pairs[1].imag, 5.0, 6.0]
        np.testing.assert_allclose(result[position], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),  # at 0.5, from a table of the functions
    [
        ("silu", 0.31122967),
        ("gelu", 0.34573123),
        ("gelu_tanh", 0.34571401),
        ("quick_gelu", 0.35038844),
        ("relu", 0.5),
        ("sigmoid", 0.62245933),
        ("tanh", 0.46211716),
        ("softplus", 0.97407698),
    ],
)
def test_activations(kind, expected):
    for dtype, tolerance in ((np.float64, 1e-8), (np.float32, 1e-6)):
        assert abs(float(ACTIVATIONS[kind](np.array([0.5], dtype))[0]) - expected) < tolerance


@pytest.mark.parametrize("tokens", [[], [9], [-1]])
def test_wrong_tokens_are_named(tokens):
    arrays = {"e": np.zeros((9, 8)), "layers.0.norm.weight": np.zeros(8), "layers.2.norm.weight": np.zeros(8)}
    with pytest.raises(InterpreterError, match="prompt|tokens must be"):
        interpret_slm(program(LAYERS, arrays), tokens)


def test_foreign_operations_are_named():
    text = """
    func.func @forward(%t: tensor<?xi32>) -> tensor<?xi32> {
      func.call @other() : () -> ()
      func.return %t : tensor<?xi32>
    }
    func.func private @other() -> ()
    """
    with pytest.raises(InterpreterError, match="func.call"):
        interpret_slm(program(text, {}), [1])


@pytest.mark.parametrize("directory", sorted(p.parent for p in PUBLISHED.glob("*/golden.npz")), ids=lambda p: p.name)
def test_published_logits(directory):
    with np.load(directory / "golden.npz", allow_pickle=False) as golden:
        tokens, logits = golden["tokens"].tolist(), golden["logits"]
    loaded = load_program(directory)
    for dtype in (np.float64, np.float32):
        found = interpret_slm(loaded, tokens, dtype)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, logits, rtol=0, atol=TOLERANCE)


def test_large_weights_are_cast_by_blocks(monkeypatch):
    directory = PUBLISHED / "odd_sizes"
    tokens = [1, 2, 3]
    whole = interpret_slm(load_program(directory), tokens)
    monkeypatch.setattr("compiler.interpreters.slm.operations.CAST_ELEMENTS", 1000)
    monkeypatch.setattr("compiler.interpreters.slm.operations.QUERY_ROWS", 2)
    np.testing.assert_allclose(interpret_slm(load_program(directory), tokens), whole, atol=1e-6)
