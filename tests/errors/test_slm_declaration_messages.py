"""Messages for mistakes in syntax, sections, config and weights: each static error once, with its exact text."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontends import FrontendError
from frontends.language.checks import check
from frontends.language.parser import parse
from frontends.language.source import SourceText

DEMO = (Path(__file__).parent / "slm_demo.slm").read_text(encoding="utf-8")

Case = tuple[str, dict[str, str], str, str | None]
"""Name, replacements in the demo file, headline without the file name, hint."""

CASES: list[Case] = [
    (
        "a line that is no statement",
        {"  hd = d // H\n": "  hd = d //\n"},
        "8:12: expected an expression, found end of line",
        None,
    ),
    (
        "a character outside of the language",
        {"  hd = d // H\n": "  hd = d @ H\n"},
        '8:10: unexpected character "@"',
        None,
    ),
    (
        "two statements in one line",
        {"h = norm1(x)\n": "h = norm1(x) g = h\n"},
        '38:18: expected an operator or "}" or end of line, found "g"',
        None,
    ),
    (
        "an unclosed section",
        {'else "head"\n}\n': 'else "head"\n'},
        '57:1: expected an operator or "}" or end of line, found end of file',
        None,
    ),
    (
        "an unclosed parenthesis",
        {"h = norm1(x)\n": "h = norm1(x\n"},
        '39:5: expected an operator or ")" or "," or "->" or "=" or "for", found "turn"',
        None,
    ),
    ("a string over two lines", {'"demo"\n': '"demo\n'}, "1:23: this string does not end in its line", None),
    (
        "a long number",
        {"?? 10000)": "?? 10000000000000000000)"},
        '15:36: a number has at most 18 characters, found "10000000000000000000"',
        None,
    ),
    ("a second config section", {"weights {": "config { }\nweights {"}, "18:1: second config section", None),
    ("a second def", {"def mlp(": "def mlp(y) { return y }\ndef mlp("}, '32:1: second def "mlp"', None),
    (
        "a second table",
        {"checkpoint hf {": "checkpoint hf { }\ncheckpoint hf {"},
        '48:1: second checkpoint table "hf"',
        None,
    ),
    ("too deep", {"hd = d // H": "hd = " + "-" * 120 + "d"}, "8:105: nested more than 100 levels deep", None),
    ("too long a chain", {"hd = d // H": "hd = d" + " + d" * 120}, "8:8: nested more than 100 levels deep", None),
    (
        "no architecture line",
        {'architecture demo for "demo"\n': ""},
        "1:1: the file has no architecture line",
        'start with: architecture NAME for "model_type"',
    ),
    ("no forward", {"def forward(": "def backward("}, "1:1: the file has no def forward(tokens: [T])", None),
    (
        "a dialect in a model's file",
        {"def mlp(": "dialect hf { .a = .b }\ndef mlp("},
        "31:14: dialect tables belong in common.slm",
        None,
    ),
    ("an unknown name", {"hd = d // H": "hd = d // K"}, '8:13: unknown name "K"', None),
    ("a misspelt name", {"rms_norm(d, eps)": "rms_norm(d, esp)"}, '21:31: unknown name "esp"', 'did you mean "eps"?'),
    (
        "an unknown config function",
        {"activation(": "aktivation("},
        '14:9: unknown function "aktivation"',
        'did you mean "activation"?',
    ),
    (
        "an unknown option",
        {"rotary(hd, ": "rotary(hd, scale=1, "},
        '15:21: rotary has no option "scale"',
        'did you mean "scaling"?',
    ),
    (
        "too many values",
        {"rotary(hd, .rope_theta ?? 10000)": "rotary(hd, 1, 2)"},
        "15:10: rotary takes 2 values, found 3",
        "rotary(dim, theta, scaling=, max_positions=, original_positions=)",
    ),
    (
        "a missing value",
        {"rotary(hd, .rope_theta ?? 10000)": "rotary(hd)"},
        "15:10: rotary needs theta",
        "rotary(dim, theta, scaling=, max_positions=, original_positions=)",
    ),
    (
        "an option given twice",
        {"rotary(hd, .rope_theta ?? 10000)": "rotary(hd, 1, theta=2)"},
        '15:24: rotary: "theta" is given twice',
        None,
    ),
    (
        "a name defined twice",
        {"  f = .intermediate_size": "  f = .intermediate_size\n  d = 3"},
        '10:3: "d" is already defined',
        None,
    ),
    (
        "a reserved name",
        {"  f = .intermediate_size": "  f = .intermediate_size\n  T = 3"},
        '10:3: "T" is a name of the language',
        None,
    ),
    (
        "the name of an operation",
        {"  f = .intermediate_size": "  f = .intermediate_size\n  attention = 3"},
        '10:3: "attention" is a name of the language',
        None,
    ),
    (
        "an unused config value",
        {"  f = .intermediate_size": "  f = .intermediate_size\n  g = 3"},
        '10:3: config value "g" is never used',
        None,
    ),
    ("has of a value", {".qk_norm ?? false": "has(d)"}, "11:17: has takes a config field, has(.x)", None),
    (
        "an arrow outside of linear",
        {"hd = d // H": "hd = max(d -> H)"},
        '8:12: "->" belongs in linear(inputs -> outputs)',
        None,
    ),
    ("arithmetic on null", {"hd = d // H": "hd = d // null"}, '8:13: "//": this may be null', None),
    ("arithmetic on a list", {"hd = d // H": "hd = d // [H]"}, '8:13: "//": expected a number, found a list', None),
    (
        "a lookup in the checkpoint",
        {".qk_norm ?? false": 'has_tensor("x")'},
        "11:13: has_tensor belongs in the dialect tables of common.slm",
        None,
    ),
    (
        "a comprehension over its own name",
        {"[i % 2 == 0 for i in 0..L]": "[d % 2 == 0 for d in 0..L]"},
        '12:11: "d" is already defined',
        None,
    ),
    ("an unknown kind", {"o: linear(": "o: liner("}, '24:8: unknown kind of weight "liner"', 'did you mean "linear"?'),
    (
        "a kind's unknown option",
        {"down: linear(f -> d)": "down: linear(f -> d, bais=true)"},
        '26:26: linear has no option "bais"',
        'did you mean "bias"?',
    ),
    (
        "linear without an arrow",
        {"down: linear(f -> d)": "down: linear(f)"},
        "26:18: linear needs its input and output: linear(d -> f)",
        None,
    ),
    (
        "a dimension that is no number",
        {"down: linear(f -> d)": "down: linear(f -> act)"},
        "26:23: a dimension must be an integer, found the activation",
        None,
    ),
    (
        "a dimension with a point",
        {"down: linear(f -> d)": "down: linear(f -> 2.5)"},
        "26:23: a dimension must be a positive integer, found 2.5",
        None,
    ),
    ("a weight defined twice", {"gate, up: linear": "gate, gate: linear"}, '25:11: "gate" is already defined', None),
    (
        "a weight that shadows",
        {"gate, up: linear(d -> f)": "gate, up, embed: linear(d -> f)"},
        '25:15: "embed" is already defined',
        None,
    ),
    (
        "a weight that a group's weight would hide",
        {"gate, up: linear(d -> f)": "gate, up, head: linear(d -> f)"},
        '28:3: "head" is already defined, inside of "layers"',
        None,
    ),
    (
        "a weight named like a config value",
        {"gate, up: linear(d -> f)": "gate, up, eps: linear(d -> f)"},
        '25:15: "eps" is already defined',
        None,
    ),
    (
        "a weight named like a def",
        {"gate, up: linear(d -> f)": "gate, up, mlp: linear(d -> f)"},
        '25:15: "mlp" is already defined, as a def',
        None,
    ),
    ("a group variable that shadows", {"layers[i < L]": "layers[d < L]"}, '20:10: "d" is already defined', None),
    (
        "a config field in weights",
        {"embedding(V, d)": "embedding(.vocab_size, d)"},
        "19:20: .vocab_size: config fields are read in the config section only",
        "add a line there: name = .vocab_size",
    ),
    (
        "an unused weight",
        {"down: linear(f -> d)": "down, extra: linear(f -> d)", "gate, up, down =": "gate, up, down, extra ="},
        '26:11: weight "extra" is declared but never used',
        None,
    ),
    (
        "an eps that may be null",
        {"norm1, norm2: rms_norm(d, eps)": "norm1, norm2: rms_norm(d, window)"},
        "21:31: eps: this may be null",
        None,
    ),
]


@pytest.mark.parametrize(("edits", "message", "hint"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_message(edits: dict[str, str], message: str, hint: str | None) -> None:
    text = DEMO
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(FrontendError) as caught:
        check(parse(SourceText("demo.slm", text)))
    error = caught.value
    assert f"{error.line}:{error.column}: {error.message}" == message
    assert error.hint == hint
    assert error.source_line == text.split("\n")[error.line - 1]


def test_the_demo_file_is_right() -> None:
    check(parse(SourceText("demo.slm", DEMO)))


def test_rendered_message() -> None:
    """The whole text as the command line prints it: place, line, caret, hint."""
    with pytest.raises(FrontendError) as caught:
        check(parse(SourceText("phi.slm", DEMO.replace("q_norm?(q(h))", "q_norm(q(h))"))))
    assert (
        caught.value.render()
        == """\
phi.slm:40:28: error: "q_norm" exists only if qk_norm
        x += o(attention(turn?(q_norm(q(h))), turn?(k(h)), v(h), window=window))
                               ^
  hint: write q_norm?(...), or call it under the same condition"""
    )


def test_a_huge_file_is_refused() -> None:
    with pytest.raises(FrontendError, match="longer than 1048576 characters"):
        parse(SourceText("demo.slm", "#" * (1 << 20) + "\n"))


def test_definitions_that_expand_without_end() -> None:
    """Each def calls the one before three times: the work is bounded, not exponential."""
    defs = "def f0(x) { return x }\n"
    for index in range(1, 14):
        defs += f"def f{index}(x) {{ return f{index - 1}(f{index - 1}(f{index - 1}(x))) }}\n"
    text = DEMO.replace("def mlp(", defs + "def mlp(").replace("head(mlp(x))", "head(f13(mlp(x)))")
    with pytest.raises(FrontendError, match="the file takes too much work to check"):
        check(parse(SourceText("demo.slm", text)))


def test_a_long_line_keeps_the_caret_in_view() -> None:
    text = "config { x = " + "1 + " * 60 + "§ }"
    with pytest.raises(FrontendError) as caught:
        parse(SourceText("demo.slm", text))
    _, line, caret = caught.value.render().split("\n")
    assert line[caret.index("^")] == "§"
    assert len(line) < 200
