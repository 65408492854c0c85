"""Messages for sums over groups, choices and columns that cannot be: exact text and place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compiler.driver import compile_program
from compiler.errors import CompileError
from compiler.program import Rows
from frontends import FrontendError, load_program
from tests.end_to_end.e2e_support import options, with_weights
from tests.end_to_end.mixture_support import mixtral

FILE = """architecture mix for "mix"
config { V = 20; d = 8; E = 3; k = .k ?? 2; odd = [i == 1 for i in 0..E] }
weights {
  embed: embedding(V, d)
  router: linear(d -> E)
  other: linear(d -> d) if odd[0]
  EXPERTS
  head: linear(d -> V)
}
def forward(tokens: [T]) {
  x = other?(embed(tokens))
  p = top_k(softmax(router(x)), k)
  x += EXPRESSION
  return head(x)
}
"""
PLAIN = "experts[e < E] { up: linear(d -> d) }"
FLAT = PLAIN + "; flat: linear(d -> [])"
SUM = "sum(p[e] * up(x) for e in experts)"
ALIKE = 'a sum over "experts" needs members that are alike, but 1 differs from 0'
SAME = "each must do the same operations, with weights of the same shapes and types"
MIXING = "only attention, causal_conv and selective_scan may mix tokens"
LATER = "inside of a sum over a group is in the language, but the compiler does not have it yet"

# What the experts are, the expression, what k is; the headline without the file, the hint.
CASES: dict[str, tuple[str, str, str, str, str | None]] = {
    "more than there are": (PLAIN, SUM, "4", "12:7: error: top_k of 4 out of 3", "comes from .k of the config"),
    "no number": (
        PLAIN, SUM, '"two"', '12:7: error: the count of top_k must be a positive integer, found "two"',
        "comes from .k of the config",
    ),
    "a column too far": (PLAIN, "p[3] * " + SUM, "2", "13:8: error: column 3 of [T, 3]", None),
    "a column of the next": (PLAIN, "sum(p[e + 1] * up(x) for e in experts)", "2", "13:12: error: column 3 of [T, 3]", None),
    "half a column": (PLAIN, "p[0.5] * " + SUM, "2", "13:8: error: column 0.5 of [T, 3]", None),
    "fewer columns than experts": (PLAIN.replace("E", "E + 1"), SUM, "2", "13:12: error: column 3 of [T, 3]", None),
    "a number that differs": (PLAIN, SUM.replace("up(x)", "up(x) * (e + 1)"), "2", f"13:8: error: {ALIKE}", SAME),
    "a bias that differs": (PLAIN.replace("d)", "d, bias=odd[e])"), SUM, "2", f"13:8: error: {ALIKE}", SAME),
    "a weight that differs": (
        PLAIN.replace(" }", "; more: linear(d -> d) if odd[e] }"), SUM.replace("up(x)", "more?(up(x))"), "2",
        f"13:8: error: {ALIKE}", SAME,
    ),
    "a sum in a sum": (
        PLAIN.replace(" }", "; inner[j < 2] { deep: linear(d -> d) } }"),
        SUM.replace("up(x)", "up(x) * sum(deep(x) for j in inner)"), "2", f"13:8: error: mixture {LATER}", None,
    ),
    "an embedding": (
        PLAIN.replace(" }", "; look: embedding(V, d) }"), SUM.replace("up(x)", "up(look(tokens))"), "2",
        f"13:8: error: embedding {LATER}", None,
    ),
    "a sum without tokens": (
        PLAIN.replace(" }", "; shift: tensor(d) }"), "sum(shift for e in experts) + sum(p[e] * up(x) for e in experts)", "2",
        "13:8: error: a sum over a group of [8] is in the language, but the compiler does not have it yet", None,
    ),
    "softmax over tokens": (
        FLAT, "softmax(flat(x)) * " + SUM, "2", "13:8: error: softmax over the last dimension of [T]", MIXING,
    ),
    "top_k over tokens": (
        FLAT, "sum(top_k(flat(x), 2)) * " + SUM, "2", "13:12: error: top_k over the last dimension of [T]", MIXING,
    ),
    "a sum over tokens": (FLAT, "sum(flat(x)) * " + SUM, "2", "13:8: error: sum over the last dimension of [T]", MIXING),
    "a column over tokens": (FLAT, "flat(x)[0] * " + SUM, "2", "13:8: error: an index over the last dimension of [T]", MIXING),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_messages(name: str, tmp_path: Path) -> None:
    experts, expression, count, headline, hint = CASES[name]
    path = tmp_path / "mix.slm"
    path.write_text(FILE.replace("EXPERTS", experts).replace("EXPRESSION", expression))
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1, overrides={"k": count})
    assert caught.value.headline() == f"mix.slm:{headline}"
    assert caught.value.hint == hint


def test_a_group_that_is_off(tmp_path: Path) -> None:
    """A condition that is not that of the group hides it from the static checks, not from the tracer."""
    path = tmp_path / "mix.slm"
    text = FILE.replace("EXPERTS", "if odd[0] { " + PLAIN + " }").replace("EXPRESSION", SUM)
    path.write_text(text)
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1)
    assert caught.value.headline() == 'mix.slm:13:19: error: "up" exists only if odd[0]'
    path.write_text(text.replace("p[e] * up(x)", "p[e] * up?(x)"))
    with pytest.raises(FrontendError) as caught:
        load_program(path, random_seed=1)
    assert caught.value.headline() == 'mix.slm:13:8: error: the group "experts" does not exist with this config'


class Spoilt:
    """A weight store with NaN in one expert's matrix."""

    def __init__(self, weights: object, name: str):
        self._weights, self._name = weights, name

    def __getattr__(self, name: str) -> object:
        return getattr(self._weights, name)

    def load(self, name: str) -> np.ndarray:
        values = self._weights.load(name)  # type: ignore[attr-defined]
        return np.full_like(values, np.nan) if name == self._name else values

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__


def test_an_expert_that_is_not_finite(tmp_path: Path) -> None:
    program = mixtral()
    name = "layers.1.experts.3.down.weight"
    with pytest.raises(CompileError) as caught:
        compile_program(with_weights(program, Spoilt(program.weights, name)), options(chunk=4), tmp_path / "x.slx")
    assert caught.value.message == f'weight "{name}" holds NaN or infinity'
    assert not list(tmp_path.iterdir())


def test_the_lists_of_a_choice_do_not_fit() -> None:
    """64 of 128 for each token: 512 bytes a token, of 32 KiB."""
    program = mixtral(num_local_experts=128, num_experts_per_tok=64, intermediate_size=8)
    with pytest.raises(CompileError) as caught:
        compile_program(program, options("edge", "w8a8", chunk=96), Path("nowhere"))
    assert caught.value.message.endswith("bytes of SMEM for the lists of top_k, there are 32768")
    assert caught.value.hint == "leave the chunk to the compiler"
