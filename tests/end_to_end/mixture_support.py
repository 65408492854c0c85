"""Small models with mixtures of many kinds, for the end-to-end tests."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compiler.program import Program
from frontends import load_program
from tests.end_to_end.e2e_support import tiny_program

VOCABULARY = 67  # of tiny_program and of the models below


def mixtral(seed: int = 1, **changes: Any) -> Program:
    """A tiny Mixtral, two of four experts; a change to None takes a field out of its config."""
    fields = {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2, "num_hidden_layers": 2}
    return tiny_program(seed, **(fields | changes))


EXPERTS = """experts[e < E] {
      gate, up: linear(d -> f)
      down:     linear(f -> d, bias=true)
    }"""
SPARSE = "p = top_k(softmax(router(h)), 2); p = p / sum(p)"
GATED = "down(silu(gate(h)) * up(h))"

# What stands in the layer, in its weights, behind the layers, in the weights outside of them.
MODELS: dict[str, tuple[str, str, str, str]] = {
    "sparse": (f"{SPARSE}\n    x += sum(p[e] * {GATED} for e in experts)", EXPERTS, "", ""),
    "unnormalised": (f"p = top_k(softmax(router(h)), 3)\n    x += sum(p[e] * {GATED} for e in experts)", EXPERTS, "", ""),
    "sigmoid": (
        "s = top_k(sigmoid(router(h)), 2)\n    s = 1.5 * (s / (sum(s) + 1e-3))\n"
        f"    x += sum(2 * s[e] * 0.25 * {GATED} for e in experts)",
        EXPERTS, "", "",
    ),
    "softmax of the chosen": (
        f"p = top_k(router(h) + 20, 1)\n    x += sum(softmax(p)[e] * {GATED} for e in experts)", EXPERTS, "", ""
    ),
    "dense": (f"p = softmax(router(h))\n    x += sum({GATED} * p[e] for e in experts)", EXPERTS, "", ""),
    "unweighted": (f"x += 0.1 * router_out(router(h))\n    x += sum({GATED} for e in experts)",
                   EXPERTS + "\n    router_out: linear(E -> d)", "", ""),
    "columns": (
        "p = softmax(router(h))\n    x += sum(down(silu(p[e] * up(h) + p[1] - gate(h))) for e in experts)", EXPERTS, "", "",
    ),
    "norms in experts": (
        f"{SPARSE}\n    x += sum(p[e] * post(down(relu(up(pre(h))) + gate(h))) for e in experts)",
        EXPERTS.replace("gate,", "pre, post: rms_norm(d, 1e-5)\n      gate,"), "", "",
    ),
    "tensors": (
        f"{SPARSE}\n    x += sum(p[e] * (after({GATED}) * scale + relu(shift)) for e in experts)",
        EXPERTS.replace("gate,", "after: layer_norm(d, 1e-5)\n      shift: tensor(d)\n      gate,") + "\n    scale: tensor(d)", "", "",
    ),
    "tensors for all": (
        f"p = softmax(router(h))\n    s = relu(scale)\n    x += sum(p[e] * ({GATED} * s + shift) for e in experts)",
        EXPERTS.replace("gate,", "shift: tensor(d)\n      gate,") + "\n    scale: tensor(d)", "", "",
    ),
    "heads": (
        f"{SPARSE}\n    y = k(h)\n    x += o(sum(part(h) * y for e in experts)) + sum(p[e] * {GATED} for e in more)",
        "experts[e < E] { part: linear(d -> [H, hd]) }\n    " + EXPERTS.replace("experts", "more"), "", "",
    ),
    "same for all": (f"{SPARSE}\n    x += sum(p[e] * down(silu(shared(h)) * up(h) + gate(h)) for e in experts)",
                     EXPERTS + "\n    shared: linear(d -> f)", "", ""),
    "values in place": ("p = softmax(router(h))\n    g = shared(h)\n    x += sum(p[e] * down(silu(g) + up(h) * gate(h)) for e in experts)",
                        EXPERTS + "\n    shared: linear(d -> f)", "", ""),
    "outside of the layers": (
        "q2 = top_k(softmax(router(h)), 1)\n    x += sum(q2[e] * widen(silu(narrow(h))) for e in pool)", "",
        "h = norm(x); p = top_k(softmax(last(h)), 3)\n  x += sum(p[e] * widen(silu(narrow(h))) for e in pool)",
        "pool[e < E] { narrow: linear(d -> f); widen: linear(f -> d) }\n  last: linear(d -> E)",
    ),
    "chosen before the layers": (
        "x += 0.1 * router_out(router(h))", "router_out: linear(E -> d)",
        "x += sum(early[e] * widen(silu(narrow(norm(x)))) for e in pool)",
        "pool[e < E] { narrow: linear(d -> f); widen: linear(f -> d) }\n  last: linear(d -> E)",
    ),
    "no mixture": (
        "x += narrow(sigmoid(widen(h)))\n    g = softmax(q(h))\n    x += o(top_k(g, 2) * sum(g) - k(h)) + 0.1 * top_k(h, 5)\n"
        "    x += softmax(h) * sum(h) + h[3] + 0.1 * router_out(router(h))",
        "router_out: linear(E -> d); widen: linear(d -> f); narrow: linear(f -> d)", "", "",
    ),
}  # fmt: skip


def architecture(name: str, experts: int = 4) -> str:
    """The text of one of MODELS."""
    body, weights, after, outside = MODELS[name]
    early = "early = top_k(softmax(last(norm(x))), 2); early = early / sum(early)" if "early" in after else ""
    return f"""architecture mix for "mix"
config {{ V = .v ?? {VOCABULARY}; d = .d ?? 20; f = .f ?? 33; L = .l ?? 2; H = .h ?? 2; hd = .hd ?? 6; E = .e ?? {experts}
  rope = rotary(hd, 1e4) }}
weights {{
  embed: embedding(V, d)
  layers[i < L] {{
    attn_norm, mlp_norm: rms_norm(d, 1e-5)
    q, k, v: linear(d -> [H, hd])
    o: linear([H, hd] -> d)
    router: linear(d -> E)
    {weights}
  }}
  {outside}
  norm: rms_norm(d, 1e-5)
  head: linear(d -> V)
}}
def forward(tokens: [T]) {{
  x = embed(tokens)
  {early}
  for i in layers {{
    h = attn_norm(x)
    x += o(attention(rope(q(h)), rope(k(h)), v(h), window=9))
    h = mlp_norm(x)
    {body}
  }}
  {after}
  return head(norm(x))
}}
"""


def program_of(text: str, seed: int = 4) -> Program:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mix.slm"
        path.write_text(text, encoding="utf-8")
        return load_program(path, random_seed=seed)
