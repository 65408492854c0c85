"""Random forward passes: fusion keeps the values, and the binary keeps the bits, whatever reads whichever value when."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from compiler.dialects import slmq
from compiler.driver import lower, make_context
from compiler.interpreters.slmq import SlmqInterpreter
from compiler.program import Program
from compiler.transforms.convert_slm_to_slmq import ConvertSlmToSlmqPass
from frontends import load_program
from tests.end_to_end.e2e_support import SCHEMES, assert_same_bits, build, options, prompt_of, simulate

# No shrinking: an example takes a second, and the text of the failing one says enough.
SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, phases=[Phase.generate]
)
VOCABULARY, CONTEXT = 37, 300
WIDTHS = {"d": "f", "f": "d"}
KINDS = ("linear", "linear", "square", "binary", "binary", "unary", "norm", "attention", "tensor", "conv", "scan")


@dataclass
class Writer:
    """Writes one layer's statements. `known`: names by width; `unread`: those nobody has read."""

    draw: st.DrawFn
    weights: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    known: dict[str, list[str]] = field(default_factory=lambda: {"d": ["x"], "f": []})
    unread: list[tuple[str, str]] = field(default_factory=list)
    values: int = 0

    def weight(self, kind: str) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(f"{name}: {kind}")
        return name

    def pick(self, width: str) -> str:
        name = self.draw(st.sampled_from(self.known[width]))
        if (name, width) in self.unread:
            self.unread.remove((name, width))
        return name

    def let(self, width: str, expression: str) -> None:
        name = f"v{self.values}"
        self.values += 1
        self.lines.append(f"{name} = {expression}")
        self.known[width].append(name)
        self.unread.append((name, width))

    def statement(self) -> None:
        width = self.draw(st.sampled_from([w for w in WIDTHS if self.known[w]]))
        kind = self.draw(st.sampled_from(KINDS))
        if kind == "linear":
            bias = self.draw(st.sampled_from(["", ", bias=true"]))
            other = WIDTHS[width]
            self.let(other, f"{self.weight(f'linear({width} -> {other}{bias})')}({self.pick(width)})")
        elif kind == "square":
            self.let(width, f"{self.weight(f'linear({width} -> {width})')}({self.pick(width)})")
        elif kind == "binary":
            a, b = self.pick(width), self.pick(width)
            self.let(
                width,
                self.draw(st.sampled_from([f"{a} + {b}", f"{a} - {b}", f"{a} * {b}", f"{a} / (sigmoid({b}) + 1.5)"])),
            )
        elif kind == "unary":
            a = self.pick(width)
            forms = [
                f"silu({a})",
                f"gelu({a})",
                f"gelu_tanh({a})",
                f"tanh({a})",
                f"{a} * 0.37",
                f"2.5 - {a}",
                f"{a} ** 2",
            ]
            self.let(width, self.draw(st.sampled_from(forms)))
        elif kind == "norm":
            self.let(width, f"{self.weight(f'rms_norm({width}, 1e-5)')}({self.pick(width)})")
        elif kind == "tensor":
            form = self.draw(st.sampled_from(["{0} * {1}", "{1} - {0}", "{0} / (sigmoid({1}) + 0.5)"]))
            self.let(width, form.format(self.pick(width), self.weight(f"tensor({width})")))
        elif kind == "conv":
            options = self.draw(st.sampled_from(["kernel=1", "kernel=3", "kernel=4, bias=true"]))
            self.let(width, f"{self.weight(f'causal_conv({width}, {options})')}({self.pick(width)})")
        elif kind == "scan":
            self.scan(width, self.draw(st.sampled_from([1, 3, 35])))
        elif width == "d":
            self.attention(self.draw(st.booleans()))

    def scan(self, width: str, entries: int) -> None:
        a = self.weight(f"tensor([{width}, {entries}])")
        b, c = (self.weight(f"linear({width} -> {entries})") for _ in range(2))
        u, dt, read = self.pick(width), self.pick(width), self.pick(width)
        self.let(width, f"selective_scan({u}, softplus({dt}), -sigmoid({a}), {b}({read}), {c}({read}))")

    def attention(self, rotates: bool) -> None:
        q, o = self.weight("linear(d -> [H, hd])"), self.weight("linear([H, hd] -> d)")
        k, v = self.weight("linear(d -> [G, hd])"), self.weight("linear(d -> [G, hd])")
        window = self.draw(st.sampled_from(["", ", window=7"]))
        a, b = self.pick("d"), self.pick("d")
        key = f"rope({k}({b}))" if rotates else f"{k}({b})"
        self.let("d", f"{o}(attention(rope({q}({a})), {key}, {v}({self.pick('d')}){window}))")

    def finish(self) -> None:
        """Everything unread ends in x. Attention, rotary and the width f occur at least once."""
        self.attention(True)
        self.let("f", f"{self.weight('linear(d -> f)')}({self.pick('d')})")
        for name, width in list(self.unread):
            value = name if width == "d" else f"{self.weight('linear(f -> d)')}({name})"
            self.lines.append(f"x += {value}")
        self.lines.append(f"x = {self.weight('rms_norm(d, 1e-5)')}(x)")


@st.composite
def models(draw: st.DrawFn, writer: type[Writer] = Writer) -> str:
    """The text of an architecture file."""
    layer = writer(draw)
    for _ in range(draw(st.integers(2, 9))):
        layer.statement()
    layer.finish()
    tail = draw(
        st.sampled_from(
            ["head(x)", "head(x) + side(x)", "head(x * 2) * 0.5", "softcap(head(x), 9.0)", "head(x + early)"]
        )
    )
    side = "side: linear(d -> V, bias=true)" if "side" in tail else ""
    early = "early = x" if "early" in tail else ""
    weights, lines = "\n    ".join(layer.weights), "\n    ".join(layer.lines)
    return f"""architecture random for "random"
config {{ V = .v ?? {VOCABULARY}; d = .d ?? 20; f = .f ?? 33; L = .l ?? 2; H = .h ?? 4; G = .g ?? 2; hd = .hd ?? 6
  rope = rotary(4, 1e3) }}
weights {{
  embed: embedding(V, d)
  layers[i < L] {{
    {weights}
  }}
  head: linear(d -> V)
  {side}
}}
def forward(tokens: [T]) {{
  x = embed(tokens)
  {early}
  for i in layers {{
    {lines}
  }}
  return {tail}
}}
"""


def program_of(text: str) -> Program:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "random.slm"
        path.write_text(text, encoding="utf-8")
        return load_program(path, random_seed=4)


def unfused(program: Program, scheme: str) -> ModuleOp:
    module = program.module.clone()
    ConvertSlmToSlmqPass(scheme).apply(make_context(), module)
    return module


def check(text: str, machine: str, scheme: str, length: int, new: int) -> None:
    program = program_of(text)
    chosen = options(machine, scheme, CONTEXT)
    run = simulate(build(program, chosen), prompt_of(length, VOCABULARY), new)
    tokens = [*prompt_of(length, VOCABULARY), *run.tokens[:-1]]
    fused = lower(program, chosen, "slmq")
    assert any(isinstance(op, slmq.StripsOp) for op in fused.walk())
    plain = SlmqInterpreter(unfused(program, scheme), program.weights, CONTEXT).run(tokens, 50)
    assert_same_bits(SlmqInterpreter(fused, program.weights, CONTEXT).run(tokens, 64), plain)
    assert_same_bits(run.logits, plain)


@settings(SETTINGS, max_examples=5)
@given(models(), st.sampled_from(["edge", "edge", "tiny"]), st.sampled_from(SCHEMES), st.integers(1, 12))
def test_random_forward_passes(text: str, machine: str, scheme: str, length: int) -> None:
    check(text, machine, scheme, length, 2)


@pytest.mark.long
@settings(SETTINGS, max_examples=300)
@given(models(), st.sampled_from(["edge", "tiny"]), st.sampled_from(SCHEMES), st.integers(1, 150))
def test_many_random_forward_passes(text: str, machine: str, scheme: str, length: int) -> None:
    check(text, machine, scheme, length, 3)
