"""Transformers nobody wrote by hand: the choices that families make, drawn at random and in odd sizes.

Each compiles; the fp32 binary gives the logits of the `slm` interpreter within 2e-4, every scheme the bits of `slmq`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from frontends import load_program
from tests.end_to_end.e2e_support import SCHEMES, Run, check_bits, options, prompt_of

# No shrinking: an example takes seconds, and the text of the failing one says enough.
SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, phases=[Phase.generate]
)
TOLERANCE = 2e-4
CONTEXT = 192
SEED = 11
NORMS = [
    "rms_norm({}, 1e-5)",
    "rms_norm({}, 1e-6, offset=1)",
    "layer_norm({}, 1e-5)",
    "layer_norm({}, 1e-5, bias=false)",
]
ROTATIONS = [
    "rope if i >= 0 else null",
    "null if i >= 0 else rope",
    "rope if i % 2 == 0 else null",
    "null if i % 3 == 1 else rope",
]
WINDOWS = ["null", "1", "6", "17", "5 if i % 2 == 0 else null", "null if i % 3 == 2 else 9"]


class Model:
    """The text of an architecture file, drawn choice by choice."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.weights: list[str] = []
        self.lines: list[str] = []
        self.flag = lambda: draw(st.booleans())
        self.groups = draw(st.integers(1, 3))
        self.heads = self.groups * draw(st.integers(1, 3))
        self.head_dim = 2 * draw(st.integers(1, 9))
        self.sizes = {
            "V": draw(st.integers(7, 90)),
            "d": draw(
                st.integers(13, 45)
            ),  # a norm of three numbers now and then magnifies what fp32 loses a thousandfold
            "f": draw(st.integers(1, 70)),
            "L": draw(st.integers(1, 4)),
            "H": self.heads,
            "G": self.groups,
            "hd": self.head_dim,
        }
        self.norm = draw(st.sampled_from(NORMS))

    def one(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def weight(self, name: str, kind: str) -> str:
        self.weights.append(f"{name}: {kind}")
        return name

    def linear(self, name: str, shape: str) -> str:
        return self.weight(name, f"linear({shape}{self.one('', ', bias=true')})")

    def attention(self, h: str) -> str:
        q, k, v = self.linear("q", "d -> [H, hd]"), self.linear("k", "d -> [G, hd]"), self.linear("v", "d -> [G, hd]")
        q, k = f"{q}({h})", f"{k}({h})"
        if self.flag():  # one norm for every head
            q = f"{self.weight('q_norm', self.norm.format('hd'))}({q})"
            k = f"{self.weight('k_norm', self.norm.format('hd'))}({k})"
        self.lines.append(f"turn = {self.one(*ROTATIONS)}")
        options = f", window={self.one(*WINDOWS)}" + self.one(
            "", ", scale=0.4", ", softcap=4.0", ", scale=0.9 / (i + 1)"
        )
        scores = f"attention(turn?({q}), turn?({k}), {v}({h}){options})"
        return f"{self.linear('o', '[H, hd] -> d')}({scores})"

    def feed_forward(self, h: str) -> str:
        if self.draw(st.integers(0, 2)) == 0:
            return self.experts(h)
        act = self.one("silu", "gelu", "gelu_tanh", "relu")
        wide = f"{act}({self.linear('up', 'd -> f')}({h}))"
        if self.flag():
            wide = f"{wide} * {self.linear('gate', 'd -> f')}({h})"
        return f"{self.linear('down', 'f -> d')}({wide})"

    def experts(self, h: str) -> str:
        count = self.draw(st.integers(1, 5))
        chosen = self.draw(st.integers(1, count))
        self.weight("router", f"linear(d -> {count})")
        self.weights.append(f"experts[e < {count}] {{ e_up, e_gate: linear(d -> f); e_down: linear(f -> d) }}")
        self.lines.append(
            f"p = {self.one(f'top_k(softmax(router({h})), {chosen})', f'softmax(top_k(router({h}), {chosen}))')}"
        )
        self.lines.append(self.one("p = p / sum(p)", "p = p * 1.5"))
        return f"sum(p[e] * e_down(silu(e_gate({h})) * e_up({h})) for e in experts)"

    def branch(self, name: str, mix: str) -> None:
        """One residual branch: mix is `attention` or `feed_forward`."""
        placement = self.one("before", "after", "output", "sandwich")
        value = "x"
        if placement in ("before", "sandwich"):
            self.lines.append(f"h = {self.weight(f'{name}_before', self.norm.format('d'))}(x)")
            value = "h"
        mixed = getattr(self, mix)(value)
        if placement in ("output", "sandwich"):
            mixed = f"{self.weight(f'{name}_after', self.norm.format('d'))}({mixed})"
        self.lines.append(f"x += {mixed}{self.one('', ' * 0.3')}")
        if placement == "after":
            self.lines.append(f"x = {self.weight(f'{name}_after', self.norm.format('d'))}(x)")

    def parallel(self) -> None:
        """Attention and feed-forward of the same value, with one norm or with two."""
        self.lines.append(f"h = {self.weight('norm1', self.norm.format('d'))}(x)")
        other = "h"
        if self.flag():
            self.lines.append(f"m = {self.weight('norm2', self.norm.format('d'))}(x)")
            other = "m"
        mixed = self.feed_forward(other)
        self.lines.append(f"x += {self.attention('h')} + {mixed}")

    def text(self) -> str:
        if self.flag():
            self.parallel()
        else:
            self.branch("a", "attention")
            self.branch("m", "feed_forward")
        even = self.sizes["d"] % 2 == 0
        place = self.one("", " + pos(positions)", " + sinusoid(positions, d)" if even else "", " * 1.7")
        config = "; ".join(f"{name} = .{name.lower()}_ ?? {size}" for name, size in self.sizes.items())
        turned = 2 * self.draw(st.integers(1, self.head_dim // 2))
        outer = [f"pos: embedding({CONTEXT}, d)"] if "pos(" in place else []
        head = self.one("head({})", "softcap(head({}), 11.0)", "head({}) * 0.6").format("norm(x)")
        return "\n".join([
            'architecture random for "random"',
            f"config {{ {config}\n  rope = rotary({turned}, {self.one('1e3', '1e4', '5e5')}) }}",
            "weights {", "  embed: embedding(V, d)", *outer, "  layers[i < L] {", *self.weights, "  }",
            f"  norm: {self.norm.format('d')}", f"  {self.linear_head()}", "}",
            "def forward(tokens: [T]) {", f"  x = embed(tokens){place}", "  for i in layers {",
            *self.lines, "  }",
            f"  return {head}", "}", "",
        ])  # fmt: skip

    def linear_head(self) -> str:
        return f"head: linear(d -> V{self.one('', ', bias=true')})"


@st.composite
def transformers(draw: st.DrawFn) -> str:
    return Model(draw).text()


def program_of(text: str) -> Program:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "random.slm"
        path.write_text(text, encoding="utf-8")
        return load_program(path, random_seed=SEED)


def check(text: str, machine: str, scheme: str, length: int, new: int) -> None:
    program = program_of(text)
    vocabulary = program.weights.shape("embed.weight")[0]
    prompt = prompt_of(length, vocabulary)
    run = check_bits(program, options(machine, scheme, CONTEXT), prompt, new)
    if scheme == "fp32":
        check_values(program, prompt, run)


def check_values(program: Program, prompt: list[int], run: Run) -> None:
    """The logits of every position against float64; the tokens are judged with the bits."""
    expected = interpret_slm(program, [*prompt, *run.tokens[:-1]])
    np.testing.assert_allclose(run.logits, expected, rtol=0, atol=TOLERANCE)


@settings(SETTINGS, max_examples=6)
@given(transformers(), st.sampled_from(["edge", "tiny"]), st.sampled_from(("fp32", *SCHEMES)), st.integers(1, 24))
def test_random_transformers(text: str, machine: str, scheme: str, length: int) -> None:
    check(text, machine, scheme, length, 3)


@pytest.mark.long
@settings(SETTINGS, max_examples=300)
@given(
    transformers(), st.sampled_from(["edge", "tiny"]), st.sampled_from(("fp32", "fp32", *SCHEMES)), st.integers(1, 150)
)
def test_many_random_transformers(text: str, machine: str, scheme: str, length: int) -> None:
    check(text, machine, scheme, length, 4)
