"""Messages for mistakes in defs and checkpoint tables: each static error once, with its exact text."""

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
        "an unknown operation",
        {"attention(turn": "atention(turn"},
        '40:12: unknown operation or weight "atention"',
        'did you mean "attention"?',
    ),
    ("an unknown name in forward", {"act(gate(h)) * up(h)": "act(gate(g)) * up(h)"}, '42:24: unknown name "g"', None),
    (
        "an operation's unknown option",
        {"window=window))": "windows=window))"},
        '40:63: attention has no option "windows"',
        'did you mean "window"?',
    ),
    (
        "an unused variable",
        {"    h = norm2(x)\n": "    h = norm2(x)\n    g = norm2(x)\n"},
        '42:5: "g" is assigned but never used',
        None,
    ),
    (
        "an unused parameter",
        {"mlp(x: [T, d])": "mlp(x: [T, d], y)", "mlp(x))": "mlp(x, x))"},
        '31:20: "y" is never used',
        None,
    ),
    ("a def that is not called", {"head(mlp(x))": "head(x)"}, '31:1: def "mlp" is never called', None),
    (
        "a weight that is assigned",
        {"h = norm1(x)": "q = norm1(x)"},
        '38:5: "q" is a weight and cannot be assigned',
        None,
    ),
    (
        "a config value that is assigned",
        {"h = norm1(x)": "d = norm1(x)"},
        '38:5: "d" is a config value and cannot be assigned',
        None,
    ),
    (
        "the loop index is assigned",
        {"h = norm1(x)": "i = norm1(x)"},
        '38:5: "i" is the index of a loop and cannot be assigned',
        None,
    ),
    (
        "a group that is none",
        {"for i in layers": "for i in layer"},
        '37:12: "layer" is not a group of weights',
        'did you mean "layers"?',
    ),
    (
        "a config field in forward",
        {"x * 2": "x * .scale"},
        "32:14: .scale: config fields are read in the config section only",
        "add a line there: name = .scale",
    ),
    (
        "a weight as a value",
        {"x += down(act(gate(h)) * up(h))": "x += down(act(gate(h)) * up)"},
        '42:15: "*" needs numbers or tensors, found the weight "up"',
        "call it",
    ),
    (
        "something that cannot be called",
        {"head(mlp(x))": "head(mlp(eps(x)))"},
        '44:19: "eps" is a number and cannot be called',
        None,
    ),
    ("two values for a weight", {"head(mlp(x))": "head(mlp(x), x)"}, '44:10: "head" takes one value, found 2', None),
    (
        "a wrong number of values for a def",
        {"head(mlp(x))": "head(mlp(x, x))"},
        "44:15: mlp takes 1 value, found 2",
        None,
    ),
    ("a def that calls itself", {"return x * 2": "return mlp(x)"}, '32:10: "mlp" calls itself', None),
    ("forward is called", {"return x * 2": "return forward(x)"}, '32:10: "forward" calls itself', None),
    (
        "a conditional weight without ?",
        {"q_norm?(q(h))": "q_norm(q(h))"},
        '40:28: "q_norm" exists only if qk_norm',
        "write q_norm?(...), or call it under the same condition",
    ),
    ("a ? that is not needed", {"o(attention": "o?(attention"}, '40:10: "o" always exists', "remove the ?"),
    ("a ? on an operation", {"attention(turn": "attention?(turn"}, '40:12: "attention" always exists', "remove the ?"),
    ("a function that may be null", {"turn?(k(h))": "turn(k(h))"}, '40:44: "turn" may be null', "write turn?(...)"),
    ("a function that always exists", {"act(gate(h))": "act?(gate(h))"}, '42:15: "act" always exists', "remove the ?"),
    (
        "an optional weight that changes the shape",
        {"q_norm: rms_norm(hd, eps) if qk_norm": "q_norm: linear(hd -> f) if qk_norm"},
        '40:28: "q_norm"?: [T, H, hd] without it, [T, H, f] with it',
        None,
    ),
    (
        "a linear of the wrong input",
        {"x += down(act(gate(h)) * up(h))": "x += down(act(gate(h))) * up(gate(h))"},
        '42:31: "up" takes [..., d], found [T, f]',
        None,
    ),
    (
        "unequal shapes",
        {"gate(h)) * up(h)": "gate(h)) * h"},
        '42:15: "*" of shapes [T, f] and [T, d]',
        "shapes must be equal, or one the tail of the other; size 1 stretches",
    ),
    (
        "an update of another shape",
        {"x += down(act(gate(h)) * up(h))": "x += q(h)"},
        '42:5: "+" of shapes [T, d] and [T, H, hd]',
        "shapes must be equal, or one the tail of the other; size 1 stretches",
    ),
    (
        "an update that changes the shape",
        {"    h = norm1(x)\n": "    h = sum(norm1(x))\n    h += x\n"},
        '39:5: "h" [T, 1] becomes [T, d]',
        None,
    ),
    (
        "a loop that changes the shape",
        {"    x += down(act(gate(h)) * up(h))": "    x = act(gate(h)) * up(h) * down(up(h))[0]"},
        '37:3: "x" enters the loop as [T, d] and leaves it as [T, f]',
        None,
    ),
    (
        "two sides of if",
        {"h = norm1(x)": "h = x if qk_norm else gate(x)"},
        "38:9: the two sides have shapes [T, d] and [T, f]",
        None,
    ),
    (
        "two branches",
        {"h = norm1(x)": "if qk_norm { h = norm1(x) } else { h = gate(x) }"},
        '38:5: "h" is [T, d] in one branch and [T, f] in the other',
        None,
    ),
    (
        "a name of one branch only",
        {"h = norm1(x)": "if qk_norm { h = norm1(x) }"},
        '40:38: unknown name "h"',
        "it is assigned in one branch of an if only",
    ),
    (
        "attention of the wrong heads",
        {"v(h), window": "h, window"},
        "40:12: attention takes q [T, H, hd], k and v [S, G, hd], found [T, H, hd], [T, H, hd], [T, d]",
        None,
    ),
    (
        "attention that is not causal",
        {"window=window))": "causal=false))"},
        "40:12: attention over tokens must be causal, with queries and keys of the same tokens",
        None,
    ),
    (
        "a scan of the wrong shapes",
        {"h = norm1(x)": "h = selective_scan(x, norm1(x), gate(x), x, x)"},
        "38:9: selective_scan takes u, dt [T, m], A [m, N], B, C [T, N], found [T, d], [T, d], [T, f], [T, d], [T, d]",
        None,
    ),
    (
        "a convolution of other channels",
        {"norm1, norm2: rms_norm(d, eps)": "norm1: causal_conv(f, kernel=3); norm2: rms_norm(d, eps)"},
        '38:9: "norm1" takes [T, f], found [T, d]',
        None,
    ),
    (
        "a tensor that is called",
        {"norm1, norm2: rms_norm(d, eps)": "norm1: tensor(d); norm2: rms_norm(d, eps)"},
        '38:9: "norm1" is [d] and cannot be called',
        None,
    ),
    (
        "indices as numbers",
        {"x = embed(tokens)": "x = embed(tokens) * act(tokens)"},
        '36:23: "act" takes numbers, found token indices',
        "look them up in an embedding first",
    ),
    (
        "an embedding of numbers",
        {"h = norm1(x)": "h = norm1(embed(x))"},
        '38:15: "embed" takes token indices, found [T, d]',
        None,
    ),
    (
        "a tensor where a number is needed",
        {"window=window))": "window=x))"},
        "40:12: attention: window must be a number, found [T, d]",
        None,
    ),
    (
        "a condition on a tensor",
        {"rope if local[i] else": "rope if x else"},
        "39:20: a condition depends only on config values, found [T, d]",
        None,
    ),
    (
        "logits of the wrong shape",
        {"return head(mlp(x))": "return mlp(x)"},
        "35:1: forward must return logits [T, V], as many as the embedding has rows, found [T, d]",
        None,
    ),
    (
        "logits that are no tensor",
        {"return head(mlp(x))": "return 3"},
        "35:1: forward must return logits [T, V], found a number",
        None,
    ),
    ("a parameter's shape", {"head(mlp(x))": "mlp(head(x))"}, '44:10: "mlp" takes x [T, d], found [T, V]', None),
    ("no return", {"  return head(mlp(x))\n": "  x = head(mlp(x))\n"}, '35:1: "forward" does not return a value', None),
    (
        "something after a return",
        {"  return head(mlp(x))\n": "  return head(mlp(x))\n  x = x\n"},
        "45:3: nothing follows a return",
        None,
    ),
    (
        "a return in a loop",
        {"    h = norm1(x)\n": "    return x\n    h = norm1(x)\n"},
        "38:5: return inside of a loop",
        None,
    ),
    (
        "a branch without return",
        {"  return head(mlp(x))\n": "  if qk_norm { return head(mlp(x)) }\n  return head(mlp(x))\n"},
        "44:3: one branch returns and the other does not",
        None,
    ),
    (
        "tokens without a shape",
        {"forward(tokens: [T])": "forward(tokens)"},
        '35:13: the input "tokens" needs a shape, tokens: [T]',
        None,
    ),
    (
        "tokens of another shape",
        {"forward(tokens: [T])": "forward(tokens: [d])"},
        "35:13: the first input of forward is the tokens: forward(tokens: [T])",
        None,
    ),
    (
        "an unknown format",
        {"checkpoint hf": "checkpoint hff"},
        '47:1: unknown checkpoint format "hff"',
        'did you mean "hf"?',
    ),
    ("a weight without a row", {'    o = "o"\n': ""}, '49:3: this table does not say where "o" is stored', None),
    ("a weight with two rows", {'    o = "o"\n': '    o = "o"\n    o = "p"\n'}, '54:5: "o" has two rows', None),
    (
        "a row for no weight",
        {'    o = "o"\n': '    o = "o"\n    oo = "p"\n'},
        '54:5: "oo" is not declared in weights here',
        'did you mean "o"?',
    ),
    (
        "a row for a group",
        {'  embed = "embed"\n': '  embed = "embed"\n  layers = "x"\n'},
        '49:3: "layers" is a group',
        None,
    ),
    (
        "a group row for a weight",
        {'  embed = "embed"\n': '  embed[i] = "embed" { }\n'},
        '48:3: "embed" is not a group',
        None,
    ),
    (
        "an unknown source function",
        {'split("qkv")': 'splits("qkv")'},
        '51:15: unknown function "splits"',
        'did you mean "split"?',
    ),
    (
        "a source's unknown option",
        {'split("qkv")': 'split("qkv", pre=H)'},
        '51:28: split has no option "pre"',
        'did you mean "per"?',
    ),
    (
        "an unknown index in a name",
        {'"layers.{i}"': '"layers.{j}"'},
        '49:15: unknown name "j" in the tensor name',
        None,
    ),
    (
        "an unpaired brace",
        {'"layers.{i}"': '"layers.{i"'},
        "49:15: braces in a name are written in pairs, {} or {i}",
        None,
    ),
    (
        "{} in a prefix",
        {'"layers.{i}"': '"layers.{}"'},
        "49:15: {} stands for the name of a row, a prefix has none",
        None,
    ),
    ("a prefix that is no string", {'"layers.{i}"': "L"}, "49:15: a prefix is a string, or several with ??", None),
    (
        "two weights in one tensor",
        {'gate, up, down = "mlp.{}"': 'gate, up, down = "mlp"'},
        '54:5: "gate" and "up" would be stored in the same tensor',
        "write {} for the row's own name, or split(...)",
    ),
    (
        "an unknown weight as source",
        {"head = embed if": "head = embedd if"},
        '56:10: unknown name "embedd"',
        'did you mean "embed"?',
    ),
    (
        "a config field in a table",
        {"head = embed if qk_norm else": "head = embed if .tied else"},
        "56:19: .tied: config fields are read in the config section only",
        "add a line there: name = .tied",
    ),
    ("a source that is none", {'o = "o"': "o = [1]"}, "53:9: this cannot say where a weight is stored", None),
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
