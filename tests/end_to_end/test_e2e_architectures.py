"""Architecture files of one's own: the passes know operations and shapes, so whatever the language says must keep its bits."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from compiler.program import Program
from frontends import load_program
from tests.end_to_end.e2e_support import SCHEMES, build, check_bits, options, prompt_of, vocabulary_of

HEAD = """architecture own for "own"
config {
  V = .vocab_size ?? 53
  d = .hidden_size ?? 20
  L = .num_hidden_layers ?? 2
  H = .num_attention_heads ?? 4
  G = .num_key_value_heads ?? 2
  hd = .head_dim ?? 10
  f = .intermediate_size ?? 33
"""

# name -> (rest of config, weights, forward)
MODELS = {
    "norms of heads, partial rotary, softcaps, scaled embedding": (
        "rope = rotary(4, 1e4)",
        """embed: embedding(V, d)
        layers[i < L] {
          norm1, norm2, norm3: rms_norm(d, 1e-6, offset=1)
          q_norm, k_norm: rms_norm(hd, 1e-6)
          q: linear(d -> [H, hd]); k, v: linear(d -> [G, hd], bias=true); o: linear([H, hd] -> d)
          up: linear(d -> f); down: linear(f -> d)
        }
        head: linear(d -> V, bias=true)""",
        """x = embed(tokens) * sqrt_d
        for i in layers {
          h = norm1(x)
          a = attention(rope(q_norm(q(h))), rope(k_norm(k(h))), v(h), scale=0.3, softcap=5.0)
          x += norm2(o(a))
          x += down(gelu(up(norm3(x))))
        }
        return softcap(head(x), 30.0)""",
    ),
    "kinds of layers, parallel branches, no rotary in some": (
        "rope = rotary(hd, 500)",
        """embed: embedding(V, d)
        layers[i < L] {
          norm: rms_norm(d, 1e-5)
          q: linear(d -> [H, hd]); k, v: linear(d -> [G, hd]); o: linear([H, hd] -> d, bias=true)
          up, gate: linear(d -> f, bias=true); down: linear(f -> d)
        }
        norm_out: rms_norm(d, 1e-5)
        head: linear(d -> V)""",
        """x = embed(tokens)
        for i in layers {
          h = norm(x)
          turn = rope if i % 3 != 2 else null
          a = attention(turn?(q(h)), turn?(k(h)), v(h), window=5 if i % 2 == 0 else null)
          x = x * 0.5 + o(a) / 3 - down(relu(gate(h)) * up(h))
        }
        return head(norm_out(x))""",
    ),
    "divisions, differences, powers, activations of sums": (
        "rope = rotary(hd, 1e4)",
        """embed: embedding(V, d)
        layers[i < L] {
          norm1: rms_norm(d, 1e-5)
          both: rms_norm([H, hd], 1e-5)
          q: linear(d -> [H, hd]); k, v: linear(d -> [G, hd]); o: linear([H, hd] -> d)
          up, gate, side: linear(d -> f); down: linear(f -> d)
        }
        head: linear(d -> V)""",
        """x = embed(tokens)
        for i in layers {
          h = norm1(x)
          x += 1 - o(both(attention(rope(q(h)), rope(k(h)), v(h))))
          u = up(x)
          x = x - down(sigmoid(u) * (u - gate(x)) / (tanh(side(x)) + 2.5)) + down(relu(u) ** 2)
        }
        return head(x)""",
    ),
    "scales of attention by layer, in two kinds of layers": (
        "rope = rotary(hd, 1e4)",
        """embed: embedding(V, d)
        layers[i < L + 3] {
          norm1: rms_norm(d, 1e-5)
          q: linear(d -> [H, hd], bias=true); k, v: linear(d -> [G, hd]); o: linear([H, hd] -> d)
          up: linear(d -> f); down: linear(f -> d)
        }
        head: linear(d -> V)""",
        """x = embed(tokens)
        for i in layers {
          h = norm1(x)
          x += o(attention(rope(q(h)), k(h), v(h), scale=0.7 / (i + 1), window=4 if i % 2 == 1 else null))
          x += down(relu(up(x)))
        }
        return head(x)""",
    ),
    "one matrix used twice, values across a layer": (
        "rope = rotary(hd, 1e4)",
        """embed: embedding(V, d)
        layers[i < L] {
          norm1: rms_norm(d, 1e-5)
          q: linear(d -> [H, hd]); k, v: linear(d -> [G, hd]); o: linear([H, hd] -> d)
          mix: linear(d -> d); wide: linear(d -> f); back: linear(f -> d)
        }
        norm: rms_norm(d, 1e-5)
        head: linear(d -> V)""",
        """first = embed(tokens)
        x = first * 2
        for i in layers {
          h = norm1(x)
          m = mix(h)
          g = silu(mix(m)) * m
          x = g + o(attention(rope(q(h)), k(g), v(h))) + x + back(wide(m) * wide(h))
        }
        return head(norm(x))""",
    ),
}  # fmt: skip


def own_program(name: str, seed: int = 3) -> Program:
    config, weights, forward = MODELS[name]
    more = "sqrt_d = sqrt(d)\n" if "sqrt_d" in forward else ""
    text = f"{HEAD}{config}\n{more}}}\nweights {{\n{weights}\n}}\ndef forward(tokens: [T]) {{\n{forward}\n}}\n"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "own.slm"
        path.write_text(text, encoding="utf-8")
        return load_program(path, random_seed=seed)


def check(name: str, machine: str, scheme: str, length: int, new: int, chunk: int = 0) -> None:
    program, chosen = own_program(name), options(machine, scheme, 300, chunk)
    executable = build(program, chosen)
    check_bits(program, chosen, prompt_of(length, vocabulary_of(executable)), new, executable)


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_own_architectures(number: int) -> None:
    name = list(MODELS)[number]
    if number % 2:
        check(name, "tiny", SCHEMES[number % 4], 19, 4)
    else:
        check(name, "edge", SCHEMES[(number + 2) % 4], 260, 3)


@pytest.mark.long
@pytest.mark.parametrize("machine", ["edge", "tiny"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", MODELS)
def test_own_architectures_with_every_scheme(name: str, machine: str, scheme: str) -> None:
    for length, chunk in ((1, 0), (30, 3), (254, 8)):
        check(name, machine, scheme, length, 8, chunk)
