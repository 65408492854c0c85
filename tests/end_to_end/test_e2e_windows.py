"""Sliding windows and their ring caches, far past the first wrap: equal bits to the slmq interpreter, and the slm interpreter, which
has no cache at all, within the tolerance of fp32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from frontends import load_program
from tests.end_to_end.e2e_support import Run, build, check_bits, options, prompt_of, tiny_program

TOLERANCE = 2e-4
VOCABULARY = 67

MIXED = """
architecture mixed for "mixed"
config {
  V = 67
  L = 4
  d = 24
  H = 3
  window = [3, 200, 300]
  rope = rotary(6, 1e4)
}
weights {
  embed: embedding(V, d)
  layers[i < L] {
    norm: rms_norm(d, 1e-5)
    q:    linear(d -> [H, 6])
    k, v: linear(d -> [1, 6])
    o:    linear([H, 6] -> d)
  }
  head: linear(d -> V)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers {
    h = norm(x)
    x += o(attention(rope(q(h)), rope(k(h)), v(h), window=window[i] if i < 3 else null))
  }
  return head(x)
}
"""


def windowed(window: int | None) -> Program:
    """One layer."""
    changes: dict[str, Any] = {"model_type": "llama"} if window is None else {"sliding_window": window}
    return tiny_program(5, **{"model_type": "mistral", "num_attention_heads": 2, **changes})


def check_against_the_whole(program: Program, run: Run, prompt: list[int]) -> None:
    """Every position within 2e-4 of the slm interpreter."""
    tokens = [*prompt, *run.tokens[:-1]]
    np.testing.assert_allclose(run.logits, interpret_slm(program, tokens), rtol=0, atol=TOLERANCE)


def test_a_ring_of_two_blocks_after_two_wraps() -> None:
    """Window 200 keeps 512 positions: the prompt wraps once, and decoding passes 1,024."""
    program = windowed(200)
    prompt = prompt_of(1015, VOCABULARY)
    run = check_bits(program, options("edge", "fp32", 1100), prompt, 16)
    check_against_the_whole(program, run, prompt)
    wider = interpret_slm(windowed(201), prompt)
    assert np.abs(wider[-1] - run.logits[len(prompt) - 1]).max() > 5 * TOLERANCE


def test_layers_with_windows_of_their_own(tmp_path: Path) -> None:
    """Three rings, of one to three blocks, and a cache of everything, in one model."""
    path = tmp_path / "mixed.slm"
    path.write_text(MIXED, encoding="utf-8")
    program = load_program(path, random_seed=3)
    prompt = prompt_of(765, VOCABULARY)
    chosen = options("edge", "fp32", 780)
    executable = build(program, chosen)
    entry_bytes = 2 * 6 * 4
    blocks = 2 + 2 + 3 + 4  # windows 3, 200 and 300, and 780 positions
    assert executable.meta["regions"]["KV"] == blocks * 256 * entry_bytes
    run = check_bits(program, chosen, prompt, 8, executable)
    check_against_the_whole(program, run, prompt)


@pytest.mark.parametrize("window", [49, 50, 51, 1 << 30])
def test_a_window_as_long_as_the_context_is_none(window: int) -> None:
    """50 positions: from window 50 on nothing is out of sight, and the program is that of a model without."""
    program, prompt = windowed(window), prompt_of(40, VOCABULARY)
    chosen = options("tiny", "w8a8-kv8", 50, 6)
    executable = build(program, chosen)
    check_bits(program, chosen, prompt, 10, executable)
    plain = build(windowed(None), chosen)
    assert np.array_equal(executable.text, plain.text) == (window >= 50)


EDGES = [1, 2, 255, 256, 257, 258, 511, 512, 513, 514, 1200]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["fp32", "w8a8-kv8"])
@pytest.mark.parametrize("name", ["edge", "tiny"])
@pytest.mark.parametrize("window", EDGES)
def test_edges_of_blocks(window: int, name: str, scheme: str) -> None:
    """1,110 positions in a context of 1,150: two wraps or more for windows up to 257, one up to 514."""
    program = windowed(window)
    prompt = prompt_of(1095, VOCABULARY)
    run = check_bits(program, options(name, scheme, 1150), prompt, 16)
    if scheme == "fp32":
        check_against_the_whole(program, run, prompt)
