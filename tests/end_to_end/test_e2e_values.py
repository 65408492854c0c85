"""Values that are still needed: skips around layers, two carried values, swaps, captures, matrices that read what they replace."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontends import load_program
from tests.end_to_end.e2e_support import check_bits, options, prompt_of

TEMPLATE = """architecture own for "own"
config {{
  V = 53
  d = 32
  H = 4
  hd = 8
  rope = rotary(hd, 10000)
}}
weights {{
  embed: embedding(V, d)
  layers[i < 3] {{
    n1, n2: rms_norm(d, 1e-5)
    q, k, v: linear(d -> [H, hd])
    o: linear([H, hd] -> d)
    up: linear(d -> d)
  }}
  more[i < 2] {{
    m1: rms_norm(d, 1e-5)
    mq, mk, mv: linear(d -> [H, hd])
    mo: linear([H, hd] -> d)
  }}
  norm: rms_norm(d, 1e-5)
  head: linear(d -> V)
}}
def forward(tokens: [T]) {{
  x = embed(tokens)
  {before}
  for i in layers {{
    h = n1(x)
    x += o(attention(rope(q(h)), rope(k(h)), v(h)))
    {body}
  }}
  {after}
  for i in more {{
    h = m1(x)
    x += mo(attention(rope(mq(h)), rope(mk(h)), mv(h)))
  }}
  return head(norm(x))
}}
"""
CASES = {
    "a matrix that replaces its own input": ("", "x = up(n2(x))", ""),
    "a skip around the layers": ("e = x", "x += up(n2(x))", "x = x + e"),
    "two carried values from one": ("y = x", "y = y + up(n2(x))", "x = x + y"),
    "carried values that change places": ("y = x * 2", "x += up(n2(x)); t = x; x = y; y = t", "x = x + y"),
    "a value captured by the layers": ("e = x", "x += up(n2(x)) + e * 0.1", ""),
}


@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
@pytest.mark.parametrize("name", CASES)
def test_values_that_are_still_needed(name, scheme, tmp_path):
    before, body, after = CASES[name]
    path = Path(tmp_path) / "own.slm"
    path.write_text(TEMPLATE.format(before=before, body=body, after=after))
    program = load_program(path, random_seed=5)
    check_bits(program, options("tiny", scheme, 64), prompt_of(20, 53), 3)


LAST_ATTENTION = TEMPLATE.replace(
    "  return head(norm(x))", "  h = norm(x)\n  a = attention(q0(h), k0(h), v0(h))\n  return head(x + o0(a))"
)
LAST_ATTENTION = LAST_ATTENTION.replace(
    "  norm: rms", "  q0, k0, v0: linear(d -> [H, hd])\n  o0: linear([H, hd] -> d)\n  norm: rms"
)


def test_a_skip_around_the_last_attention(tmp_path):
    path = Path(tmp_path) / "own.slm"
    path.write_text(LAST_ATTENTION.format(before="", body="x += up(n2(x))", after=""))
    program = load_program(path, random_seed=5)
    check_bits(program, options("tiny", "w8a8", 64), prompt_of(20, 53), 3)
