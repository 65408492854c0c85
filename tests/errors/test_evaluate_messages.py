"""What slmc evaluate says about texts and models that do not go together: one line, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from frontends.tokenizer import MAX_TEXT_CHARACTERS
from slmc.cli import main
from slmc.errors import CommandError
from slmc.evaluation.windows import window_size
from tests.end_to_end.e2e_support import PUBLISHED
from tests.end_to_end.evaluate_support import LETTERS, TEXT, write_model


def evaluate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def assert_one_line(result: Result, code: int, part: str) -> None:
    assert result.exit_code == code, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert "error: " in result.stderr
    assert part in result.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_model(tmp_path_factory.mktemp("model") / "gqa")
    (folder / "text.txt").write_text(TEXT)
    return folder


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "the text has 0 tokens, expected at least 2"),
        (b"a", "the text has 1 tokens, expected at least 2"),
        (b"ab\xff", "is not UTF-8 text: byte 2 cannot be decoded"),
        (b"a" * (MAX_TEXT_CHARACTERS + 1), f"is larger than {MAX_TEXT_CHARACTERS} bytes"),
    ],
)
def test_texts(model: Path, tmp_path: Path, content: bytes, part: str) -> None:
    text = tmp_path / "text.txt"
    text.write_bytes(content)
    result = evaluate(model, "--text", text)
    assert_one_line(result, 1, part)
    assert result.stderr.startswith(f"{text}: error: ")


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ([], 2, "--text"),
        (["--text", "/no/such/text"], 1, "/no/such/text: error: there is no such file"),
        (["--text", "/"], 1, "this is not a file"),
        (["--text", "TEXT", "-q", "int3"], 1, 'unknown scheme "int3"'),
        (["--text", "TEXT", "-t", "egde"], 1, "did you mean 'edge'?"),
        (
            ["--text", "TEXT", "--window", 513],
            1,
            "a window of 513 tokens is longer than the 512 positions of the model",
        ),
        (["--text", "TEXT", "--window", 1], 2, "--window"),
        (["--text", "TEXT", "--tokens", 1], 2, "--tokens"),
        (["--text", "TEXT", "--json", "/no/such/a.json"], 1, "there is no such folder to write to"),
        (["--text", "TEXT", "--plot", "/no/such/a.svg"], 1, "there is no such folder to write to"),
        (["--text", "TEXT", "--reference", "/no/such"], 1, "/no/such: error: "),
    ],
)
def test_arguments(model: Path, arguments: list[object], code: int, part: str) -> None:
    given = [model / "text.txt" if argument == "TEXT" else argument for argument in arguments]
    assert_one_line(evaluate(model, *given), code, part)


def test_a_model_without_a_tokenizer(model: Path) -> None:
    result = evaluate(PUBLISHED / "gqa", "--text", model / "text.txt")
    assert_one_line(result, 1, "the model has no tokenizer, and a text is evaluated token by token")


def test_references_that_are_other_models(model: Path, tmp_path: Path) -> None:
    text = ("--text", model / "text.txt")
    shuffled = write_model(tmp_path / "shuffled", LETTERS[::-1])
    assert_one_line(evaluate(model, *text, "--reference", shuffled), 1, "makes other tokens of the text")
    other = PUBLISHED / "mqa"
    result = evaluate(model, *text, "--reference", other)
    assert_one_line(result, 1, f"{other}: error: the reference has a vocabulary of ")


def test_executables(model: Path, tmp_path: Path) -> None:
    text, file = ("--text", model / "text.txt"), tmp_path / "model.slx"
    compiled = CliRunner().invoke(main, ["compile", str(model), "-t", "tiny", "--context", "16", "-o", str(file)])
    assert compiled.exit_code == 0
    assert_one_line(evaluate(file, *text, "-q", "w8a8", "-q", "bf16"), 1, "an executable has one scheme")
    assert_one_line(evaluate(file, *text, "-q", "bf16"), 1, "was compiled with scheme w8a8, not bf16")
    assert_one_line(evaluate(file, *text, "-t", "edge"), 1, "was compiled for machine tiny, not for edge")
    assert_one_line(evaluate(file, *text, "--window", 17), 1, "is longer than the 16 positions of the executable")
    assert_one_line(evaluate(model, *text, "--reference", file), 1, "the reference must be a checkpoint")


def test_a_timed_run_that_does_not_fit_is_said_in_the_row(model: Path) -> None:
    result = evaluate(model, "--text", model / "text.txt", "--tokens", 9, "-t", "tiny", "--prompt-length", 510, "-n", 2)
    assert result.exit_code == 1
    assert "a prompt of 510 tokens and 3 generated ones do not fit the context of 512" in result.stderr


def test_windows_of_the_python_interface() -> None:
    with pytest.raises(CommandError, match="predicts nothing"):
        window_size(1, 512, 0, "the model")
    assert window_size(700, 512, 0, "the model") == 700
