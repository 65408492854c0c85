"""Random forward passes with mixtures, choices, softmax and columns among the other operations: fusion and binary keep the bits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.end_to_end.e2e_support import SCHEMES
from tests.end_to_end.test_e2e_random_forward import SETTINGS, WIDTHS, Writer, check, models

WIDTH_OF = {"d": 20, "f": 33}
WEIGHTS = ["softmax(R)", "sigmoid(R)", "top_k(softmax(R), K)", "top_k(R, K)", "top_k(sigmoid(R), K) * 0.7"]
ELEMENTS = [
    "P * BODY", "BODY * P", "0.5 * P * BODY", "BODY", "tanh(P * BODY)", "P * (BODY + V)", "P * BODY * softmax(V)",
    "P * norm(BODY)", "BODY + W[0]", "P * top_k(BODY, 3)",
]  # fmt: skip


class MixtureWriter(Writer):
    """Adds statements with routing."""

    def statement(self) -> None:
        width = self.draw(st.sampled_from([w for w in WIDTHS if self.known[w]]))
        kind = self.draw(st.sampled_from(["other", "other", "mixture", "mixture", "last"]))
        if kind == "mixture":
            self.mixture(width)
        elif kind == "last":
            a = self.pick(width)
            forms = [
                f"softmax({a})",
                f"top_k({a}, {self.draw(st.integers(1, 20))})",
                f"{a} * sum({a})",
                f"{a} - {a}[7]",
            ]
            self.let(width, self.draw(st.sampled_from(forms)))
        else:
            super().statement()

    def mixture(self, width: str) -> None:
        number = len(self.weights)
        experts, element = self.draw(st.integers(1, 5)), self.draw(st.sampled_from(ELEMENTS))
        group, other, norm = f"g{number}", WIDTHS[width], f"n{number}"
        parts = [f"a{number}: linear({width} -> {other})", f"b{number}: linear({other} -> {width}, bias=true)"]
        if "norm" in element:
            parts.append(f"{norm}: rms_norm({width}, 1e-5)")
        self.weights.append(f"{group}[e < {experts}] {{ {'; '.join(parts)} }}")
        value = self.pick(width)
        routed = f"{self.weight(f'linear({width} -> {experts})')}({self.pick(width)})"
        weights = self.draw(st.sampled_from(WEIGHTS)).replace("R", routed)
        p = f"p{number}"
        self.lines.append(f"{p} = " + weights.replace("K", str(self.draw(st.integers(1, experts)))))
        if self.draw(st.booleans()):
            self.lines.append(f"{p} = {p} / (sum({p}) + 2)")
        body = f"b{number}(silu(a{number}({value})))"
        element = element.replace("norm", norm).replace("BODY", body).replace("P", f"{p}[e]")
        element = element.replace("V", value).replace("W", p)
        self.let(width, f"sum({element} for e in {group}) + 0.01 * sum({p})")


@settings(SETTINGS, max_examples=5)
@given(models(MixtureWriter), st.sampled_from(["edge", "edge", "tiny"]), st.sampled_from(SCHEMES), st.integers(1, 12))
def test_random_forward_passes(text: str, machine: str, scheme: str, length: int) -> None:
    check(text, machine, scheme, length, 2)


@pytest.mark.long
@settings(SETTINGS, max_examples=200)
@given(models(MixtureWriter), st.sampled_from(["edge", "tiny"]), st.sampled_from(SCHEMES), st.integers(1, 150))
def test_many_random_forward_passes(text: str, machine: str, scheme: str, length: int) -> None:
    check(text, machine, scheme, length, 3)
