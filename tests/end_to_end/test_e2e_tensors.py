"""Weights used as values: broadcast over tokens and heads, in and out of layers, in fused strips and between them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from frontends import load_program
from tests.end_to_end.e2e_support import SCHEMES, build, check_bits, options, prompt_of

VOCABULARY, CONTEXT, TOLERANCE = 43, 300, 2e-4
MODEL = f"""architecture tensors for "tensors"
config {{ V = .v ?? {VOCABULARY}; d = .d ?? 20; L = .l ?? 3; H = 4; hd = 5; f = .f ?? 33; rope = rotary(4, 1e3) }}
weights {{
  embed: embedding(V, d)
  shift, late, start: tensor(d)
  row: tensor([1, d])
  layers[i < L] {{
    q, k, v: linear(d -> [H, hd]); o: linear([H, hd] -> d)
    up: linear(d -> f); down: linear(f -> d)
    one: tensor(1); each: tensor(hd); heads: tensor([H, 1]); all: tensor([H, hd]); wide: tensor(f); scale, add: tensor(d)
  }}
  head: linear(d -> V)
  logit_scale: tensor(V)
}}
def forward(tokens: [T]) {{
  x = embed(tokens) * 9 + shift
  kept = late
  turning = start
  for i in layers {{
    a = attention(rope(q(x) * all), rope(k(x) + each), v(x) * heads + all * 2)
    x += o(a * all) * (scale + 1) + x * one
    x = x + down(silu(up(x) * (1 - wide)) / (wide ** 2 + 2.5) ** 3 * 9) * add + turning
    turning = add if i % 2 == 0 else turning * 0.5
  }}
  return head(x * kept + row + shift) * (logit_scale + 1)
}}
"""


def program_of(text: str = MODEL, seed: int = 5) -> Program:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tensors.slm"
        path.write_text(text, encoding="utf-8")
        return large_tensors(load_program(path, random_seed=seed))


def large_tensors(program: Program) -> Program:
    """Random tensors are small numbers; times forty they decide what the logits are."""
    stored = program.weights.load

    def load(name: str) -> np.ndarray:
        return stored(name) * np.float32(1 if name.endswith((".weight", ".bias")) else 40)

    program.weights.load = load  # type: ignore[method-assign]
    return program


@pytest.mark.parametrize("scheme", SCHEMES)
def test_bits(scheme: str) -> None:
    machine = "tiny" if scheme in ("fp32", "w8a8") else "edge"
    check_bits(program_of(), options(machine, scheme, CONTEXT), prompt_of(11, VOCABULARY), 3)


def test_bits_across_chunks() -> None:
    check_bits(program_of(), options("tiny", "bf16", CONTEXT, 3), prompt_of(258, VOCABULARY), 2)


def test_logits_are_those_of_the_architecture() -> None:
    program = program_of()
    chosen, prompt = options("edge", "fp32", CONTEXT), prompt_of(17, VOCABULARY)
    run = check_bits(program, chosen, prompt, 3, build(program, chosen))
    expected = interpret_slm(program, [*prompt, *run.tokens[:-1]])
    np.testing.assert_allclose(run.logits, expected, rtol=0, atol=TOLERANCE)


def test_every_tensor_matters() -> None:
    """Otherwise the tests above would pass without them."""
    program = program_of()
    prompt = prompt_of(9, VOCABULARY)
    logits = interpret_slm(program, prompt)
    load = program.weights.load
    names = [name for name in program.weights.names() if not name.endswith(".weight")]
    assert len(names) == 5 + 3 * 7
    for wrong in names:
        program.weights.load = lambda name, wrong=wrong: load(name) * np.float32(name != wrong)  # type: ignore[method-assign]
        moved = np.abs(interpret_slm(program, prompt) - logits).max()
        assert moved > 0.01, wrong
