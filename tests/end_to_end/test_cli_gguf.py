"""The commands on a GGUF file: the storyteller converted, with its vocabulary and a chat template, is the same model."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
from click.testing import CliRunner

import slmc
from frontends.weights.checkpoint import open_checkpoint
from slmc.cli import main
from tests.golden.gguf_converter import convert
from tests.unit.gguf_vocabularies import add_byte_level

STORYTELLER = Path(__file__).parents[2] / "examples" / "storyteller"
TEMPLATE = "{% for m in messages %}{{ m.content }}{% if not loop.last %}. {% endif %}{% endfor %}"
PROMPT = "Once upon a time"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def error(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code in (1, 2), result.output
    return result.stderr


@pytest.fixture(scope="module")
def story_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stored = open_checkpoint(STORYTELLER)
    tensors = {name: np.array(stored.load_tensor(name)) for name in stored.tensor_names()}
    tokenizer = json.loads((STORYTELLER / "tokenizer.json").read_text(encoding="utf-8"))

    def vocabulary(writer: gguf.GGUFWriter) -> None:
        add_byte_level(writer, tokenizer, "gpt-2")
        writer.add_chat_template(TEMPLATE)

    config = json.loads((STORYTELLER / "config.json").read_text(encoding="utf-8"))
    return convert(config, tensors, tmp_path_factory.mktemp("gguf") / "story.gguf", vocabulary=vocabulary)


@pytest.fixture(scope="module")
def executable(story_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slx") / "story.slx"
    assert "llama w8a8 for edge, context 64" in run("compile", story_gguf, "--context", 64, "-o", path)
    return path


def test_tokenize(story_gguf: Path) -> None:
    text = "Once upon a time, 3 foxes found 12 stones; isn't it?\n  Yes!"
    ids = run("tokenize", story_gguf, "--text", text)
    assert ids == run("tokenize", STORYTELLER, "--text", text)
    assert run("tokenize", story_gguf, "--ids", ids.strip(" []\n")) == text + "\n"


def test_run_tells_the_same_story(story_gguf: Path) -> None:
    told = run("run", story_gguf, "--prompt", PROMPT, "-n", 8, "--context", 64)
    assert told.startswith(PROMPT)
    assert told.split("\n")[0] == run("run", STORYTELLER, "--prompt", PROMPT, "-n", 8, "--context", 64).split("\n")[0]


def test_interpret_and_inspect(story_gguf: Path, tmp_path: Path) -> None:
    for name, checkpoint in (("a", story_gguf), ("b", STORYTELLER)):
        run("interpret", checkpoint, "--tokens", "5,6,7", "--logits", tmp_path / f"{name}.npz")
    assert np.array_equal(np.load(tmp_path / "a.npz")["logits"], np.load(tmp_path / "b.npz")["logits"])
    shown, original = (json.loads(run("inspect", path, "--json")) for path in (story_gguf, STORYTELLER))
    assert shown["parameters"] == original["parameters"]
    assert (shown["tokenizer"], shown["chat_template"], original["chat_template"]) == (True, True, False)
    assert shown["config"]["hidden_size"] == original["config"]["hidden_size"]
    assert {weight["stored"] for weight in shown["weights"]} == {"F32"}


def test_chat_runs_from_the_executable(executable: Path) -> None:
    """The executable carries template and special tokens; only the answer is printed."""
    told = run("run", executable, "--prompt", PROMPT, "-n", 8).split("\n")[0]
    answer = run("run", executable, "--chat", "--prompt", PROMPT, "-n", 8).split("\n")[0]
    assert told == PROMPT + answer
    ids = json.loads(run("tokenize", executable, "--chat", "--text", PROMPT, "--system", "Hi"))
    assert ids == json.loads(run("tokenize", executable, "--text", f"Hi. {PROMPT}"))


def test_chat_of_the_api(executable: Path) -> None:
    session = slmc.Session(executable)
    expected = list(slmc.Session(executable).generate(PROMPT, 6))
    assert list(session.chat(PROMPT, 6)) == expected
    with pytest.raises(Exception, match="the conversation has begun"):
        session.chat(PROMPT, 6)


def test_stop_tokens_come_from_the_vocabulary(executable: Path) -> None:
    stop_tokens = slmc.Executable.open(executable).meta["stop_tokens"]
    assert stop_tokens == json.loads(run("tokenize", STORYTELLER, "--text", "<|endoftext|>"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--tokens", "1", "--chat"), "--chat goes with --prompt TEXT"),
        (("run", "--prompt", "x", "--system", "y"), "--system goes with --chat"),
        (("tokenize", "--ids", "1", "--chat"), "--chat goes with --text TEXT"),
        (("tokenize", "--text", "x", "--system", "y"), "--system goes with --chat"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], message: str, executable: Path) -> None:
    assert message in error(arguments[0], executable, *arguments[1:])


def test_no_template() -> None:
    assert "examples/storyteller: error: there is no chat template" in error(
        "tokenize", STORYTELLER, "--chat", "--text", "x"
    )
