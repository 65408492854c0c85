"""The language itself: lexical rules, precedence, conditions, symbolic dimensions, the shared file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from frontends import FrontendError
from frontends.architectures import SHARED_FILE, known_architectures, read_architecture
from frontends.configuration.dialects import apply_dialects, read_fields
from frontends.configuration.evaluator import Evaluator
from frontends.configuration.resolve import Document, resolve_config, unread_fields
from frontends.configuration.rotary import checked_rotary
from frontends.language import syntax
from frontends.language.checks import check
from frontends.language.checks.abstract import facts_of
from frontends.language.checks.config import combine
from frontends.language.formatting import expression_text
from frontends.language.parser import parse
from frontends.language.polynomials import Polynomial
from frontends.language.source import SourceText

EVERYTHING = (Path(__file__).parent / "slm_everything.slm").read_text(encoding="utf-8")


def _file(text: str) -> syntax.ArchitectureFile:
    return parse(SourceText("test.slm", text))


def _let(text: str) -> syntax.Expression:
    (line,) = _file(f"config {{ x = {text} }}").config
    assert isinstance(line, syntax.Let)
    return line.value


def _value(text: str, fields: dict[str, Any] | None = None, **names: Any) -> Any:
    evaluator = Evaluator(SourceText("test.slm", f"config {{ x = {text} }}"), fields or {}, "config.json")
    return evaluator.known(_let(text), names)


def test_every_rule_of_the_language_is_accepted() -> None:
    file = _file(EVERYTHING)
    check(file)
    assert file.architecture is not None and file.architecture.model_types == ("everything", "all of it")


@pytest.mark.parametrize("name", sorted(known_architectures()))
def test_shipped_architectures(name: str) -> None:
    check(read_architecture(name))


def test_every_architecture_file_is_known() -> None:
    names = {
        entry.name for entry in resources.files("frontends.architectures").iterdir() if entry.name.endswith(".slm")
    }
    assert names == {*known_architectures(), SHARED_FILE}


@pytest.mark.parametrize(
    "text",
    [
        "config { a = 1; b = 2 }",
        "config {\n  a = 1\n\n  # comment\n  b = 2 # more\n}\n",
        "config { a = (1\n\n), b = 2 }".replace(",", ";"),
        "\n\nconfig {\n a = max(1,\n 0\n); b = [\n2,\n3\n][0] }\n\n",
        "config {\r\n  a = 1\r\n  b = 2\r\n}\r\n",
    ],
)
def test_line_ends(text: str) -> None:
    assert [line.name for line in _file(text).config if isinstance(line, syntax.Let)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 ** 2", 19),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("7 // 2 - 7 % 4 - 1", -1),
        ("10 - 3 - 2", 5),
        ("2 ** 3 ** 2", 512),
        ("true and not false or false", True),
        ("not .a ?? false", True),
        (".a ?? .b ?? 3", 3),
        (".a / 2 + 1 ?? 5", 5),
        ("1 if .n == 4 and 2 in [1, 2] else 0", 1),
        ("1 if 3 not in [1, 2] and .n != 4 else 0", 0),
        ("1 if false else 2 if false else 3", 3),
        ("[i * i for i in 0..3][2]", 4),
        ("[t == .s for t in .list]", [False, True]),
        ("[x for x in .missing] ?? [1]", [1]),
        ("has(.null)", True),
        ("has(.a)", False),
        ("has(.r.k)", True),
        ("has(.a.b)", False),
        (".r.k + .n", 9),
        ("round_up(5, 4) + ceil(1.2) + len([1, 2]) + int(3.9)", 15),
        ("max(1, min(4, 2))", 2),
        ("sqrt(16)", 4.0),
        ("1e-6 * 1e6", 1.0),
        ("k + 1", 8),
    ],
)
def test_values(text: str, expected: Any) -> None:
    fields = {"n": 4, "null": None, "r": {"k": 5}, "s": "b", "list": ["a", "b"]}
    assert _value(text, fields, k=7) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 ** 100", 'the result of "**" is too large'),
        ("10 ** 10 ** 10", 'the result of "**" is too large'),
        ("1e300 * 1e300", 'the result of "*" is too large'),
        ("9223372036854775 * 10000", 'the result of "*" is too large'),
        ("(-1) ** 0.5", '"**" of -1 and 0.5 is not a real number'),
        ("1 % 0", '"%" divides by zero'),
        ("true + 1", '"+" needs numbers, found true'),
        ('"a" * 3', '"*" needs numbers, found "a"'),
        ('1 < "a"', '"<" needs numbers, found "a"'),
        ("1 in 2", '"in" needs a list, found 2'),
        ("not 1", "a condition must be true or false, found 1"),
        ("1 if 1 else 0", "a condition must be true or false, found 1"),
        ("[1][1]", "index 1 of a list of 1"),
        ("[1][0 - 1]", "index -1 of a list of 1"),
        ("[i for i in 0..100000]", "a list has at most 65536 items, found 100000"),
        ("[[j for j in 0..60000] for i in 0..60000]", "the file takes too much work to evaluate"),
        ("sqrt(-1)", "sqrt of -1.0 is not a real number"),
        ("round_up(3, 0)", "the multiple must be a positive integer, found 0"),
        (".a", "config.json has no field .a, or it is null"),
    ],
)
def test_wrong_values(text: str, message: str) -> None:
    with pytest.raises(FrontendError) as caught:
        _value(text)
    assert caught.value.message == message


def test_nodes_know_their_places() -> None:
    file = _file("config {\n  a = max(1,\n    b +  c)\n}")
    places = {
        node.name: (node.place.line, node.place.column)
        for node, _ in syntax.walk(*file.config)
        if isinstance(node, syntax.Name)
    }
    assert places == {"max": (2, 7), "b": (3, 5), "c": (3, 10)}


@pytest.mark.parametrize(
    "text",
    [
        "a + (b * 2)", "f?(x, y=[1, 2])", "[i for i in 0..L]", "(not a) or (b if c else d)", "x[i]", ".a.b ?? null",
        'sum(p[e] for e in group)', '{key: "text"}', "-a", "(1.5 if true else false) not in [2]",
    ],
)  # fmt: skip
def test_formatting_is_parsed_back(text: str) -> None:
    formatted = expression_text(_let(text))
    assert formatted == text
    assert _let(formatted) == _let(text)


def test_conditions_that_follow() -> None:
    """What is known under a condition; the same condition under another loop variable is the same fact."""

    def conditions(text: str, holds: bool, **renamed: str) -> set[tuple[str, bool]]:
        return {(fact.condition, fact.holds) for fact in facts_of(_let(text), holds, renamed)}

    assert conditions("a and not b", True) == {("a", True), ("b", False)}
    assert conditions("a and b", False) == {("a and b", False)}
    assert conditions("a or not b", False) == {("a", False), ("b", True)}
    assert conditions("d != e", True) == conditions("e == d", False) == {("d == e", False)}
    assert conditions("local[i]", True, i="#") == conditions("local[j]", True, j="#")


POLYNOMIALS = st.recursive(
    st.integers(-4, 4).map(Polynomial.constant) | st.sampled_from("abc").map(Polynomial.symbol),
    lambda inner: st.builds(lambda op, x, y: combine(op, x, y) or x, st.sampled_from("+-*"), inner, inner),
    max_leaves=8,
)


def _evaluate(polynomial: Polynomial, values: dict[str, int]) -> int:
    total = 0
    for monomial, coefficient in polynomial.terms:
        for symbol in monomial:
            coefficient *= values[symbol]
        total += coefficient
    return total


@given(left=POLYNOMIALS, right=POLYNOMIALS, values=st.fixed_dictionaries({name: st.integers(-9, 9) for name in "abc"}))
def test_polynomials(left: Polynomial, right: Polynomial, values: dict[str, int]) -> None:
    """Arithmetic agrees with numbers, and a polynomial has one form only."""
    x, y = _evaluate(left, values), _evaluate(right, values)
    for operator, expected in (("+", x + y), ("-", x - y), ("*", x * y)):
        result = combine(operator, left, right)
        assert result is None or _evaluate(result, values) == expected
    assert combine("+", left, right) == combine("+", right, left)
    assert combine("-", left, left) == Polynomial.constant(0)


def test_shared_dialects() -> None:
    """A row sets its field only if that is missing; the given document stays as it is."""
    shared = read_architecture(SHARED_FILE)
    given = {
        "rope_parameters": {"rope_theta": 5.0, "rope_type": "default"},
        "partial_rotary_factor": 0.5,
        "rope_scaling": None,
    }
    result = apply_dialects(shared, Document(given, "config.json"), "hf", None)[0].values
    assert result["rope_theta"] == 5.0
    assert result["rope_scaling"] == given["rope_parameters"]
    assert result["partial_rotary_factor"] == 0.5
    assert given["rope_scaling"] is None and "rope_theta" not in given


class FewTensors:
    """A TensorSource that dialect rows look into."""

    name = "a.gguf"
    weight_types = ("F32",)

    def __init__(self, **tensors: list[float] | tuple[int, ...]):
        self._tensors = {key.replace("__", "."): value for key, value in tensors.items()}

    def tensor_names(self) -> list[str]:
        return list(self._tensors)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor_shape(self, name: str) -> tuple[int, ...]:
        value = self._tensors[name]
        return value if isinstance(value, tuple) else (len(value),)

    def tensor_type(self, name: str) -> str:
        return "F32"

    def load_tensor(self, name: str) -> NDArray[np.float32]:
        return np.array(self._tensors[name], np.float32)

    def load_rows(self, name: str, start: int, stop: int) -> NDArray[np.float32]:
        return self.load_tensor(name)[start:stop]


def _gguf(tensors: FewTensors, **fields: Any) -> tuple[dict[str, Any], set[tuple[str, ...]]]:
    """The translated document, and the fields that count as read for an architecture that reads a few."""
    given = {"general": {"architecture": "llama"}, "embedding_length": 64, "attention": {"head_count": 4}, **fields}
    document, rows = apply_dialects(read_architecture(SHARED_FILE), Document(given, "a.gguf"), "gguf", lambda: tensors)
    return document.values, read_fields(rows, {("hidden_size",), ("num_hidden_layers",), ("rope_scaling",)})


def test_gguf_dialect_looks_into_the_checkpoint() -> None:
    """The names that GGUF files use become those of the hub, with what the tensors say."""
    tensors = FewTensors(rope_freqs__weight=[1.0, 2.0], token_embd__weight=(1000, 64))
    document, read = _gguf(tensors, block_count=2)
    assert (document["model_type"], document["hidden_size"], document["num_hidden_layers"]) == ("llama", 64, 2)
    assert document["rope_scaling"] == {"rope_type": "divisors", "divisors": [1.0, 2.0]}
    assert document["tie_word_embeddings"] is True and document["attention_bias"] is False
    assert (document["vocab_size"], document["head_dim"]) == (1000, 16)
    assert ("block_count",) in read


@pytest.mark.parametrize(
    ("fields", "path", "read"),
    [
        ({"rope": {"dimension_count": 16}}, ("rope", "dimension_count"), True),
        ({"rope": {"dimension_count": 8}}, ("rope", "dimension_count"), False),
        ({"rope": {"scaling": {"type": "none"}}}, ("rope", "scaling", "type"), True),
        ({"rope": {"scaling": {"type": "linear", "factor": 2.0}}}, ("rope", "scaling", "factor"), True),
        ({"rope": {"scaling": {"type": "new", "factor": 2.0}}}, ("rope", "scaling", "type"), False),
        ({"feed_forward_length": 9}, ("feed_forward_length",), False),
        ({"expert_count": 0}, ("expert_count",), True),
        ({"expert_used_count": 2, "expert_count": 4}, ("expert_used_count",), False),
    ],
)
def test_gguf_fields_count_as_read(fields: dict[str, Any], path: tuple[str, ...], read: bool) -> None:
    """Under a name that the architecture reads, or where they say the usual."""
    assert (path in _gguf(FewTensors(), **fields)[1]) == read


def test_unread_fields() -> None:
    mentioned = {("a",), ("r", "x"), ("s",)}
    values = {"a": 1, "r": {"x": 1, "y": {"z": 2}}, "s": {"t": 1}, "u": {}}
    assert unread_fields(values, mentioned) == [".r.y", ".u"]


def test_fixed_names() -> None:
    file = _file("config { a = 2; b = a * 3 }")
    names, _ = resolve_config(file, Document({}, "config.json"), {"a": 5})
    assert names == {"a": 5, "b": 15}


def test_rotary_records() -> None:
    """Kinds without their optional keys, lengths from the record or from the options."""
    assert checked_rotary(8, 10000, None, None, None).scaling == {}
    assert checked_rotary(8, 10000, {"type": "default", "rope_theta": 10000}, None, None).scaling == {}
    yarn = checked_rotary(8, 10000, {"rope_type": "yarn", "factor": 4, "attention_factor": None}, 64, None)
    assert (yarn.scaling, yarn.original_positions) == ({"rope_type": "yarn", "factor": 4.0}, 64)
    record = {"type": "yarn", "factor": 4, "mscale": 1, "mscale_all_dim": 0.5, "truncate": False}
    assert checked_rotary(8, 10000, record, 64, None).scaling == {
        "rope_type": "yarn", "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 0.5, "truncate": 0.0
    }  # fmt: skip
    record = {"type": "longrope", "short_factor": [1, 1], "long_factor": [2, 2.5], "factor": 3}
    longrope = checked_rotary(4, 10000, record, 128, 64)
    assert longrope.scaling["long_factor"] == [2.0, 2.5] and longrope.scaling["factor"] == 3.0
    assert (longrope.max_positions, longrope.original_positions) == (128, 64)


def test_foreign_text_cannot_drive_the_terminal() -> None:
    """Control characters and unpaired surrogates of a file become spaces in the message."""
    error = FrontendError("found \x1b[2J\ud800", "a\nb.json", 1, 2, "\x07", "x\x1b]0;y")
    assert error.render() == "a b.json:1:2: error: found  [2J \n    x ]0;y\n     ^\n  hint:  "
