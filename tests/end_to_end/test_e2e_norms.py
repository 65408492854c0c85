"""Layer norms, learned positions and sinusoids in models of one's own: the binary's bits, and fp32 near the slm interpreter.

The reference of tests/unit/test_interpreter_slm.py judges what the slm interpreter says.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from frontends import load_program
from tests.end_to_end.e2e_support import PUBLISHED, SCHEMES, build, check_bits, options, prompt_of
from tests.unit.test_frontend_published_layer_norm import VARIANTS as WITH_LAYER_NORM

VOCABULARY, CONTEXT = 53, 300
CONFIG = f"""architecture own for "own"
config {{
  V = {VOCABULARY}
  d = 20; f = 33; L = 2; H = 4; G = 2; hd = 6
  eps = 1e-5
  rope = rotary(4, 1e4)
}}
"""
LAYER = """embed: embedding(V, d)
  layers[i < L] {
    q: linear(d -> [H, hd], bias=true); k, v: linear(d -> [G, hd]); o: linear([H, hd] -> d)
    up: linear(d -> f, bias=true); down: linear(f -> d)
"""

# name -> (weights of a layer, other weights, statements, the result)
MODELS = {
    "parallel branches of one norm, norms per head": (
        """norm1: layer_norm(d, eps)
        q_norm: layer_norm(hd, eps, per=H, bias=false); k_norm: layer_norm(hd, eps, per=G)
        both: layer_norm([H, hd], eps); inner: layer_norm(f, eps)""",
        "norm: layer_norm(d, eps, bias=false)",
        """x = embed(tokens)
        for i in layers {
          h = norm1(x)
          a = both(attention(rope(q_norm(q(h))), rope(k_norm(k(h))), v(h)))
          x += o(a) + down(inner(gelu(up(h))))
        }""",
        "norm(x)",
    ),
    "norms behind, positions of a table and of a sinusoid": (
        """norm1, norm2: layer_norm(d, eps)
        q_norm: rms_norm(hd, eps, per=H, offset=1)""",
        "pos: embedding(400, d); shift: layer_norm(d, eps)",
        """x = embed(tokens) + pos(positions + 2) + sinusoid(positions + 7, d)
        for i in layers {
          x = norm1(x + o(attention(q_norm(q(x)), rope(k(x)), v(x))))
          x = norm2(x + down(relu(up(x))))
        }""",
        "shift(x)",
    ),
    "positions in every layer and behind the last one": (
        """place: embedding(310, d)
        norm1: layer_norm(d, eps)""",
        "late: embedding(V, d); last: embedding(300, d)",
        """x = embed(tokens)
        p = positions + 3
        for i in layers {
          x += place(p) * 2
          p += 1
          h = norm1(x)
          x += o(attention(rope(q(h)), k(h), v(h)))
          x += down(silu(up(x + sinusoid(p, d))))
        }""",
        "x + late(tokens) * 3 + last(positions) - sinusoid(p, d)",
    ),
}  # fmt: skip


@cache
def own_program(name: str) -> Program:
    inside, outside, statements, result = MODELS[name]
    text = f"{CONFIG}weights {{\n  {LAYER}{inside}\n  }}\n  {outside}\n  head: linear(d -> V, bias=true)\n}}\n"
    text += f"def forward(tokens: [T]) {{\n{statements}\n  return head({result})\n}}\n"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "own.slm"
        path.write_text(text, encoding="utf-8")
        return load_program(path, random_seed=5)


def check(name: str, machine: str, scheme: str, length: int, new: int, chunk: int = 0) -> None:
    program, chosen = own_program(name), options(machine, scheme, CONTEXT, chunk)
    prompt = prompt_of(length, VOCABULARY)
    run = check_bits(program, chosen, prompt, new, build(program, chosen))
    if scheme == "fp32":
        tokens = [*prompt, *run.tokens[:-1]]
        np.testing.assert_allclose(run.logits, interpret_slm(program, tokens), rtol=0, atol=2e-4)


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_bits(number: int) -> None:
    name = list(MODELS)[number]
    if number % 2:
        check(name, "tiny", SCHEMES[(number + 1) % 4], 19, 3, 5)
    else:
        check(name, "edge", SCHEMES[(number + 3) % 4], 19, 3)


@pytest.mark.parametrize("name", MODELS)
def test_fp32_is_near_the_model(name: str) -> None:
    check(name, "edge", "fp32", 259, 3)


def check_family(variant: str, machine: str, scheme: str) -> None:
    program, chosen = load_program(PUBLISHED / variant), options(machine, scheme, 64, 6 if machine == "tiny" else 0)
    with np.load(PUBLISHED / variant / "golden.npz") as golden:
        prompt, logits = golden["tokens"].tolist(), golden["logits"]
    run = check_bits(program, chosen, prompt, 4)
    found = run.logits[: len(prompt)]
    assert not np.array_equal(found, logits)
    assert np.corrcoef(found.ravel(), logits.ravel())[0, 1] > 0.99


# One variant of each family with a quantised scheme; test_e2e_published.py has all of them in fp32.
FAMILIES = {
    "phi_qk_norm": ("tiny", "w8a8"), "stablelm_parallel": ("edge", "w8a8-kv8"), "gpt_neox": ("edge", "bf16"),
    "opt_350m": ("tiny", "w8a8-kv8"), "gpt2_scaled": ("tiny", "bf16"), "kosmos2": ("edge", "w8a8"),
}  # fmt: skip


@pytest.mark.parametrize("variant", FAMILIES)
def test_quantised_families_keep_the_bits(variant: str) -> None:
    check_family(variant, *FAMILIES[variant])


@pytest.mark.long
@pytest.mark.parametrize("machine", ["edge", "tiny"])
@pytest.mark.parametrize("scheme", SCHEMES[1:])
@pytest.mark.parametrize("variant", WITH_LAYER_NORM)
def test_quantised_families_with_every_scheme(variant: str, scheme: str, machine: str) -> None:
    check_family(variant, machine, scheme)


@pytest.mark.long
@pytest.mark.parametrize("machine", ["edge", "tiny"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MODELS)
def test_bits_with_every_scheme(name: str, scheme: str, machine: str) -> None:
    for length, chunk in ((1, 0), (30, 3), (254, 8)):
        check(name, machine, scheme, length, 8, chunk)
