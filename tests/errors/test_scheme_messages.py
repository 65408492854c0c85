"""What is said about a scheme's name, a scheme file, and a matrix that a format does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from compiler.driver import compile_program, lower
from compiler.errors import CompileError
from compiler.program import Program, Rows
from compiler.scheme_files import MAX_FILE_BYTES, MAX_RULES
from compiler.schemes import Rule, find_scheme
from slmc.cli import main
from tests.end_to_end.e2e_support import options, tiny_program, with_weights
from tests.end_to_end.mixture_support import mixtral

KNOWN = (
    "known are fp32, fp16, bf16, w8a8, w8a16, w4a8, w4a16, mxfp8, mxfp4, stored_a8, stored_a16, with "
    "-g32 -g64 -g128 (columns of a group), -zp (offsets), -s24 (2:4 sparsity), -kv8 -kv4 (KV cache)"
)


def refused(name: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        find_scheme(name)
    return caught.value


@pytest.mark.parametrize(
    "name",
    ["", "int4", "w4", "w4a8-", "w4a8-g16", "w4a8-g256", "w4a8-kv2", "w4a8-zp-g32", "w4a8-kv8-zp", "W4A8", "w4a8 ", "w4a8-g32-g64"],
)  # fmt: skip
def test_names_that_are_none(name: str) -> None:
    error = refused(name)
    assert (error.message, error.hint) == (f'unknown scheme "{name}"', KNOWN)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("w8a8-zp", "only int4 weights have offsets"),
        ("bf16-g32", "weights in bf16 have no groups, offsets or sparsity"),
        ("fp32-s24", "weights in f32 have no groups, offsets or sparsity"),
        ("w4a8-zp-s24", "a weight of 2:4 sparsity has no offsets: they would make its zeros something else"),
        ("mxfp4-zp", "only int4 weights have offsets"),
        ("mxfp8-s24", "weights in e4m3 are not sparse"),
        ("mxfp4-g64", "weights in e2m1 have groups of 32"),
        ("fp32-kv8", "an int8 KV cache needs attention in bf16, and it is f32"),
        ("fp16-kv4", "an int4 KV cache needs attention in bf16, and it is f16"),
    ],
)
def test_modifiers_that_do_not_go_together(name: str, message: str) -> None:
    assert refused(name).message == f'scheme "{name}": {message}'


# Files


def refused_file(folder: Path, data: bytes) -> str:
    path = folder / "my.toml"
    path.write_bytes(data)
    error = refused(str(path))
    assert error.place == str(path)
    return error.message


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("base = ", "Invalid value (at end of document)"),
        ("not toml", "Expected '=' after a key in a key/value pair (at line 1, column 5)"),
        ("", "base: Field required"),
        ("base = 3", "base: Input should be a valid string"),
        ('base = "w8a8"\ncolour = 1', "colour: Extra inputs are not permitted"),
        ('base = "w8a8"\nrule = 1', "rule: Input should be a valid list"),
        ('base = "w8a8"\n[[rule]]\nmatch = "a"', "rule.0.scheme: Field required"),
        ('base = "w8a8"\n[[rule]]\nmatch = ""\nscheme = "bf16"', "rule.0.match: String should have at least 1 character"),
        ('base = "w8a8"\n[[rule]]\nmatch = "a"\nscheme = "w4a8"\ngroup = 32', "rule.0.group: Extra inputs are not permitted"),
        (f'base = "{"w" * 101}"', "base: String should have at most 100 characters"),
        ('base = "int3"', 'unknown scheme "int3"'),
        ('base = "other.toml"', 'unknown scheme "other.toml"'),
        ('base = "w8a8"\n[[rule]]\nmatch = "a"\nscheme = "int3"', 'unknown scheme "int3"'),
        ('base = "w8a8"\n[[rule]]\nmatch = "a"\nscheme = "w8a8-zp"', 'scheme "w8a8-zp": only int4 weights have offsets'),
    ],
)  # fmt: skip
def test_files_that_are_wrong(text: str, part: str, tmp_path: Path) -> None:
    assert part in refused_file(tmp_path, text.encode())


@pytest.mark.parametrize("match", ["layers.[0-2].*", "layers.?.q.weight", "*"])
def test_the_name_of_a_mixed_scheme_says_all_of_it(match: str, tmp_path: Path) -> None:
    """An executable keeps the name alone."""
    scheme = find_scheme(with_rule(tmp_path, match, "w4a16-g32-zp"))
    assert find_scheme(scheme.name) == scheme
    assert [str(rule) for rule in scheme.rules] == [f"{match}=i4-g32-zp:bf16"]


@pytest.mark.parametrize("match", ["layers.[0,1].*", "layers.{i}.*", "a=b", "a:i8"])
def test_patterns_with_what_separates_rules(match: str, tmp_path: Path) -> None:
    text = f'base = "w8a8"\n[[rule]]\nmatch = "{match}"\nscheme = "bf16"'
    assert "rule.0.match: String should match pattern" in refused_file(tmp_path, text.encode())


def test_files_that_are_not_text(tmp_path: Path) -> None:
    assert "'utf-8' codec can't decode byte 0xff in position 0" in refused_file(tmp_path, b"\xff\xfe")


def test_files_that_are_too_large(tmp_path: Path) -> None:
    assert refused_file(tmp_path, b"#" * (MAX_FILE_BYTES + 1)) == f"a scheme file has at most {MAX_FILE_BYTES} bytes"
    rules = '[[rule]]\nmatch = "a"\nscheme = "bf16"\n' * (MAX_RULES + 1)
    assert f"List should have at most {MAX_RULES} items" in refused_file(tmp_path, f'base = "w8a8"\n{rules}'.encode())


def test_files_that_nest_deeply(tmp_path: Path) -> None:
    """The parser's own limit is an error like others."""
    assert refused_file(tmp_path, b"base = " + b"[" * 100_000)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    error = refused(str(tmp_path / "no.toml"))
    assert (error.message, error.place) == ("No such file or directory", str(tmp_path / "no.toml"))
    (tmp_path / "folder.toml").mkdir()
    assert refused(str(tmp_path / "folder.toml")).message == "Is a directory"


def test_the_command_line_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('base = "w8a8"\nrule = 1\n', encoding="utf-8")
    gqa = Path(__file__).parent.parent / "golden" / "published" / "gqa"
    result = CliRunner().invoke(main, ["compile", str(gqa), "-q", str(path), "-o", str(tmp_path / "x.slx")])
    assert result.exit_code == 1
    assert (
        result.stderr.startswith(f"{path}: error: rule: Input should be a valid list")
        and result.stderr.count("\n") == 1
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["my.toml"]


# Rules and the model


def message_of(program: Program, scheme: str) -> str:
    with pytest.raises(CompileError) as caught:
        lower(program, options("edge", scheme, 64, 4), "slmq")
    return caught.value.render()


def with_rule(folder: Path, match: str, scheme: str = "bf16") -> str:
    path = folder / "my.toml"
    path.write_text(f'base = "w8a8"\n[[rule]]\nmatch = "{match}"\nscheme = "{scheme}"\n', encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("match", ["layers.9.*", "head.weigth", "norm.weight", "embed", "layers.0.attn_norm.weight"])
def test_rules_that_name_no_matrix(match: str, tmp_path: Path) -> None:
    message = message_of(tiny_program(), with_rule(tmp_path, match))
    assert message == (
        f'{tmp_path / "my.toml"}: error: no matrix of the model is called "{match}"\n  hint: slmc inspect prints the names'
    )


@pytest.mark.parametrize("match", ["layers.0.experts.2.*", "layers.*.experts.[01].up.weight", "*.0.down.weight"])
def test_rules_that_name_some_experts(match: str, tmp_path: Path) -> None:
    message = message_of(mixtral(), with_rule(tmp_path, match))
    assert "error: a rule names some of the experts of " in message and "hint: name all of them" in message


@pytest.mark.parametrize("text", ["", "x", "a=b", "a=i4:i8", "a=i4-g32:i4", "a=i4-g32-zp-s24:i8", "=i8:i8"])
def test_rules_of_a_pass_that_are_none(text: str) -> None:
    with pytest.raises(CompileError) as caught:
        Rule.of(text)
    assert caught.value.message.startswith((f'"{text}" is no rule of a scheme', f'rule "{text}": '))


def test_rules_whose_inputs_do_not_go_with_the_weights() -> None:
    for text, message in (
        ("a=e2m1-g32:i8", "weights in e2m1-g32 take inputs in bf16 or f16"),
        ("a=bf16:i8", "weights in bf16 take inputs in bf16"),
    ):
        with pytest.raises(CompileError) as caught:
            Rule.of(text)
        assert caught.value.message == f'rule "{text}": {message}'


# Shapes and sizes


@pytest.mark.parametrize(
    ("scheme", "changes", "message"),
    [
        ("w4a8", {"hidden_size": 96}, 'weight "layers.{i}.q.weight": groups of 64 do not divide its 96 columns; groups of 32 would'),
        ("w4a16-g32", {"hidden_size": 64, "head_dim": 32, "intermediate_size": 40},
         'weight "layers.{i}.down.weight": groups of 32 do not divide its 40 columns; no group does'),
        ("mxfp4", {"hidden_size": 64, "head_dim": 32, "intermediate_size": 40},
         'weight "layers.{i}.down.weight": groups of 32 do not divide its 40 columns; no group does'),
        ("w8a8-g128", {"hidden_size": 192}, "groups of 128 do not divide its 192 columns; groups of 32 or 64 would"),
        ("w8a8-s24", {"hidden_size": 20}, "2:4 sparsity takes columns by eights, and it has 20"),
    ],
)  # fmt: skip
def test_columns_that_a_format_does_not_fit(scheme: str, changes: dict[str, int], message: str) -> None:
    assert message in message_of(tiny_program(**changes), scheme)


@pytest.mark.parametrize(
    ("scheme", "hint"),
    [
        ("w4a8", "w4a8{layers.*.down.weight=i8:i8}"),
        ("w4a16-g32{head.weight=i8:bf16}", "w4a16-g32{layers.*.down.weight=i8:bf16,head.weight=i8:bf16}"),
    ],
)
def test_the_hint_is_a_scheme_that_fits(scheme: str, hint: str) -> None:
    program = tiny_program(hidden_size=64, head_dim=64, intermediate_size=40, tie_word_embeddings=False)
    assert f"hint: it stays in 8 bits with -q '{hint}'" in message_of(program, scheme)
    lower(program, options("edge", hint, 64, 4), "slmq")


class Huge:
    """A weight store with one matrix that f16 scales do not reach."""

    def __init__(self, weights: object, name: str):
        self._weights, self._name = weights, name

    def __getattr__(self, name: str) -> object:
        return getattr(self._weights, name)

    def load(self, name: str) -> object:
        values = self._weights.load(name)  # type: ignore[attr-defined]
        return values * 1e9 if name == self._name else values

    def rows_of(self, name: str) -> Rows:
        return self.load(name).__getitem__  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", ["w4a8-g32", "w4a16-g32-zp", "w8a8-g32"])
def test_numbers_too_large_for_the_scales(scheme: str, tmp_path: Path) -> None:
    program = tiny_program(
        hidden_size=32, num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=64,
        num_hidden_layers=2,
    )  # fmt: skip
    huge = with_weights(program, Huge(program.weights, "layers.1.up.weight"))
    with pytest.raises(CompileError) as caught:
        compile_program(huge, options("edge", scheme, 64, 4), tmp_path / "x.slx")
    assert caught.value.message == 'weight "layers.1.up.weight" has numbers too large for the f16 scales of groups'
    assert not list(tmp_path.iterdir())
