"""Progress on stderr for work that takes longer than a moment; silent when stderr is not a terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from compiler.program import Program
from slmc.errors import one_line


class Steps:
    """What a long piece of work tells the user: a line, and how much of it is done."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._task = None if progress is None else progress.add_task("", total=None)
        self._beside: dict[str, TaskID] = {}

    def say(self, text: str) -> None:
        """The work has come to the step `text`."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, description=text, total=None, completed=0)

    def count(self, done: int, total: int) -> None:
        """`done` of `total` parts of the step are done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=total, completed=done)

    def count_beside(self, text: str, done: int, total: int) -> None:
        """`done` of `total` parts are done of what goes on beside the steps, perhaps in another thread; it has a line of its own."""
        if self._progress is None:
            return
        if text not in self._beside:
            self._beside[text] = self._progress.add_task(text, total=total)
        self._progress.update(self._beside[text], completed=done)


@contextmanager
def steps() -> Generator[Steps]:
    """A spinner and bar that vanish at the end."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Steps(None)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Steps(progress)


def tell_notes(program: Program) -> None:
    """What the frontend wants the user to know."""
    for note in program.notes:
        click.echo(f"note: {one_line(note)}", err=True)
