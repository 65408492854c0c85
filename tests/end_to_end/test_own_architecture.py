"""docs/own-architecture.md: its commands are run and its messages compared, `...` standing for anything."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from slmc.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "own-architecture.md").read_text(encoding="utf-8")
MODEL = (ROOT / "examples" / "own" / "weave.slm").read_text(encoding="utf-8")
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
ROW = re.compile(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Command lines with the output the page shows."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [match for block in blocks for match in COMMAND.findall(block)]


def squeezed(text: str) -> str:
    """One space for any number of blanks, and none at the ends of lines: terminals differ in width."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())


def matches(shown: str, printed: str) -> bool:
    """Whether the printed text is what is shown; a `...` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in squeezed(shown).strip().split("..."))
    return re.fullmatch(pattern, squeezed(printed).strip(), re.DOTALL) is not None


def test_the_commands_print_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    found = commands()
    assert len(found) == 10
    for line, shown in found:
        program, *arguments = shlex.split(line)
        if program == "cp":
            shutil.copy(*arguments)
            continue
        assert program == "slmc"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == ("error: " in shown), result.output
        assert matches(shown, result.stdout + result.stderr), f"{line}\n{result.stdout}{result.stderr}"


def test_mistakes_give_the_messages_of_the_page(tmp_path: Path) -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) == 5
    for right, wrong, message in rows:
        assert MODEL.count(right) == 1, right
        path = tmp_path / "weave.slm"
        path.write_text(MODEL.replace(right, wrong))
        result = CliRunner().invoke(main, ["inspect", str(path)])
        assert (result.exit_code, result.stderr.strip()) == (1, message)


def test_the_page_quotes_the_model() -> None:
    lines = {line.strip() for line in MODEL.splitlines()}
    blocks = re.findall(r"```slm\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for line in "\n".join(blocks).splitlines():
        assert line.strip() in lines, line
