"""Collects `.mlir` files: each RUN line is executed in this process, and filecheck compares its output with the CHECK lines.

    // RUN: slmc opt %s -p "cse"
    // RUN: slmc opt --generic %s | slmc opt -
    // RUN: not slmc opt %s              (must fail; stderr is checked)

`// -----` separates independent inputs of one file; each is run alone, with the RUN lines of the first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser, pattern_for_opts

from slmc.cli import main

RUN = re.compile(r"^// RUN: (.+)$", re.MULTILINE)
SEPARATOR = re.compile(r"^// -----$", re.MULTILINE)


class CheckFailure(Exception):
    """The output does not match; the text says where."""


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    return MlirFile.from_parent(parent, path=file_path) if file_path.suffix == ".mlir" else None


class MlirFile(pytest.File):
    def collect(self) -> Iterator[pytest.Item]:
        parts = SEPARATOR.split(self.path.read_text(encoding="utf-8"))
        commands = RUN.findall(parts[0])
        if not commands:
            raise CheckFailure(f"{self.path} has no RUN line")
        for part_number, part in enumerate(parts, 1):
            for run_number, command in enumerate(commands, 1):
                yield CheckItem.from_parent(self, name=f"{part_number}.{run_number}", part=part, command=command)


class CheckItem(pytest.Item):
    def __init__(self, *, part: str, command: str, **rest: object) -> None:
        super().__init__(**rest)
        self.part = part
        self.command = command

    def runtest(self) -> None:
        fails, *words = (
            shlex.split(self.command) if self.command.startswith("not ") else ["", *shlex.split(self.command)]
        )
        output = run_piped(words, self.part, must_fail=bool(fails))
        problem = checked(self.path, self.part, output)
        if problem:
            raise CheckFailure(f"{self.command}\n{problem}\noutput:\n{output}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
        return str(excinfo.value) if isinstance(excinfo.value, CheckFailure) else str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.path.name}: {self.command}"


def run_piped(words: list[str], text: str, must_fail: bool) -> str:
    """The output of `slmc ... | slmc ...`; `%s` is the text, given on stdin."""
    while words:
        end = words.index("|") if "|" in words else len(words)
        program, *arguments = words[:end]
        words = words[end + 1 :]
        assert program == "slmc", f"only slmc can be run, found {program}"
        result = CliRunner().invoke(main, ["-" if word == "%s" else word for word in arguments], input=text)
        if (result.exit_code != 0) != (must_fail and not words):
            raise CheckFailure(f"exit code {result.exit_code}: {result.stderr}")
        text = result.stderr if must_fail else result.stdout
    return text


def checked(path: Path, checks: str, output: str) -> str:
    """filecheck's complaint, empty if all is well."""
    options = Options(str(path))
    parser = Parser(options, StringIO(checks), *pattern_for_opts(options))
    matcher = Matcher(options, FInput("output", output), parser)
    matcher.stderr = StringIO()
    return matcher.stderr.getvalue() or "no match" if matcher.run() else ""
