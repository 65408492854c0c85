"""Sums over a group of weights become mixtures: what is a weight, who is chosen, what the body reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.dialects import slm
from compiler.program import Program
from frontends import load_program

FILE = """architecture mix for "mix"
config { V = 20; d = 8; f = 12; E = .e ?? 3; L = .l ?? 2 }
weights {
  embed: embedding(V, d)
  layers[i < L] {
    norm: rms_norm(d, 1e-5)
    router: linear(d -> E)
    experts[e < E] {
      up: linear(d -> f, bias=true)
      down: linear(f -> d)
    }
  }
  pool[e < E] { wide: linear(d -> d) }
  head: linear(d -> V)
}
def forward(tokens: [T]) {
  x = embed(tokens)
  for i in layers {
    h = norm(x)
    p = softmax(router(h))
    q = top_k(p, 2)
    w = WEIGHTS
    x += sum(ELEMENTTAIL
    x += h * sum(p) * sum(w)
  }
  x += sum(wide(x) for e in pool)
  return head(x)
}
"""
EXPERT = "down(silu(up(h)))"


def loaded(
    folder: Path, element: str, weights: str = "q", tail: str = " for e in experts)", experts: int = 3
) -> Program:
    text = FILE.replace("ELEMENT", element).replace("TAIL", tail).replace("WEIGHTS", weights)
    path = folder / "mix.slm"
    path.write_text(text)
    program = load_program(path, random_seed=1, overrides={".e": str(experts)})
    program.module.verify()
    return program


def mixtures_of(program: Program) -> list[slm.MixtureOp]:
    """That of the layers, and that outside of them."""
    return [op for op in program.module.walk() if isinstance(op, slm.MixtureOp)]


def ops_of(mixture: slm.MixtureOp) -> list[str]:
    return [op.name.removeprefix("slm.") for op in mixture.block.ops]


def keys_of(mixture: slm.MixtureOp) -> list[str]:
    return [op.weight.key.data for op in mixture.block.ops if isinstance(op, slm.LinearOp)]


def test_chosen_experts(tmp_path: Path) -> None:
    """The factor p[e] leaves the body, the indices of its top_k decide who runs, the body reads h alone."""
    mixture = mixtures_of(loaded(tmp_path, f"w[e] * {EXPERT}"))[0]
    assert (mixture.count, mixture.group.data) == (3, "experts")
    assert ops_of(mixture) == ["linear", "activation", "linear", "yield"]
    assert [value.owner.name for value in mixture.values] == ["slm.rms_norm"]
    assert mixture.weights is not None and isinstance(mixture.weights.owner, slm.TopKOp)
    assert mixture.chosen is mixture.weights.owner.chosen
    assert keys_of(mixture) == ["layers.{i}.experts.{e}.up.weight", "layers.{i}.experts.{e}.down.weight"]
    biases = [op.bias for op in mixture.block.ops if isinstance(op, slm.LinearOp) and op.bias is not None]
    assert [bias.key.data for bias in biases] == ["layers.{i}.experts.{e}.up.bias"]


@pytest.mark.parametrize(
    ("element", "inside"),
    [
        (f"{EXPERT} * w[e]", 0),
        (f"2 * w[e] * 0.5 * {EXPERT}", 2),
        (f"{EXPERT} * (w[e] * p[1])", 1),
        (f"w[e] * w[e] * {EXPERT}", 1),
        (f"w[e] * ({EXPERT} + h)", 0),
    ],
)
def test_a_weight_is_a_factor_anywhere_in_a_product(element: str, inside: int, tmp_path: Path) -> None:
    """`inside`: products with the other factors, which stay in the body."""
    mixture = mixtures_of(loaded(tmp_path, element))[0]
    assert mixture.chosen is not None
    assert ops_of(mixture).count("mul") == inside


@pytest.mark.parametrize(
    "weights",
    ["q / sum(q)", "q * 2.5", "1.5 * (q / (sum(q) + 1))", "q * sigmoid(router(h))", "p * q", "(q / 2) * (q / 3)"],
)
def test_products_and_quotients_of_a_choice_keep_it(weights: str, tmp_path: Path) -> None:
    assert mixtures_of(loaded(tmp_path, f"w[e] * {EXPERT}", weights))[0].chosen is not None


@pytest.mark.parametrize("weights", ["q + 1", "2 - q", "softmax(q)", "q - p", "sum(q) * p", "p / sum(q)"])
def test_what_is_not_zero_where_a_choice_is_runs_everybody(weights: str, tmp_path: Path) -> None:
    mixture = mixtures_of(loaded(tmp_path, f"w[e] * {EXPERT}", weights))[0]
    assert mixture.chosen is None and mixture.weights is not None


@pytest.mark.parametrize(
    ("element", "values"),
    [
        (EXPERT, 1),
        ("down(silu(up(h) * w[e]))", 2),
        (f"w[e] + {EXPERT}", 2),
        ("silu(w[e] * down(up(h)))", 2),
        (f"w[1] * {EXPERT}", 2),
        (f"{EXPERT} * softmax(down(up(h)))[e] * w[0]", 2),
    ],
)
def test_other_elements_have_no_weights(element: str, values: int, tmp_path: Path) -> None:
    """They are computed for every row; tensors are read through columns."""
    mixture = mixtures_of(loaded(tmp_path, element))[0]
    assert mixture.weights is None and mixture.chosen is None
    assert len(mixture.values) == values


def test_columns_are_those_of_the_expert_or_of_a_number(tmp_path: Path) -> None:
    mixture = mixtures_of(loaded(tmp_path, f"silu(w[e] * {EXPERT}) * p[2] * p[e]"))[0]
    indices = [op.index and op.index.value.data for op in mixture.block.ops if isinstance(op, slm.ColumnOp)]
    assert indices == [None, 2]
    assert mixture.weights is not None and isinstance(mixture.weights.owner, slm.SoftmaxOp)


def test_a_group_outside_of_the_layers(tmp_path: Path) -> None:
    """Also where a layer uses it."""
    program = loaded(tmp_path, f"w[e] * {EXPERT}")
    assert keys_of(mixtures_of(program)[1]) == ["pool.{e}.wide.weight"]
    assert program.weights.shape("pool.2.wide.weight") == (8, 8)
    inner = mixtures_of(
        loaded(tmp_path, f"w[e] * {EXPERT} for e in experts) + sum(w[e] * wide(h) for e in pool)", tail="")
    )
    assert [keys_of(mixture) for mixture in inner[1:]] == [["pool.{e}.wide.weight"]] * 2
    assert inner[1].chosen is not None and inner[2].weights is None


def test_text_does_not_grow_with_the_experts(tmp_path: Path) -> None:
    sizes = {len(list(loaded(tmp_path, f"w[e] * {EXPERT}", experts=count).module.walk())) for count in (2, 40)}
    assert len(sizes) == 1
