"""Executables the commands run: opened as they are, or compiled from a checkpoint on the way."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compiler.schemes import find_scheme
from frontends import Virtual
from isa.container import Executable
from isa.container_format import MAGIC
from isa.machine import Machine, load_machine
from slmc.building import DEFAULT_MACHINE, Checkpoint, Target, build
from slmc.errors import CommandError
from slmc.progress import tell_notes


def is_executable(path: Path) -> bool:
    """Whether the path is to be read as an executable: by its first bytes, or by its name."""
    if not path.is_file():
        return path.suffix == ".slx"
    with path.open("rb") as file:
        return path.suffix == ".slx" or file.read(len(MAGIC)) == MAGIC


@dataclass(frozen=True)
class Wanted:
    """What a program is to be compiled for, or was; None stands for the default, or for whatever it was."""

    machine: str | None = None
    scheme: str | None = None
    context: int | None = None
    allow_oversize: bool = False

    def target(self) -> Target:
        return Target(self.machine or DEFAULT_MACHINE, self.scheme, self.context, self.allow_oversize)


@contextmanager
def opened(source: Checkpoint, wanted: Wanted) -> Generator[Executable]:
    """The executable at source.path, or one compiled from the checkpoint there, which is removed at the end.

    Raises CommandError if an executable was compiled for something else.
    """
    if is_executable(source.path):
        executable = Executable.open(source.path)
        _check_options(executable, source, wanted)
        yield executable
        return
    program = source.load()
    tell_notes(program)
    options = wanted.target().options(program)
    with tempfile.TemporaryDirectory(prefix="slmc-") as directory:
        path = Path(directory) / "model.slx"
        build(program, options, path)
        yield Executable.open(path, verify=False)


def _check_options(executable: Executable, source: Checkpoint, wanted: Wanted) -> None:
    meta = executable.meta
    hint = "compile the checkpoint with these options"
    fixed = source.random_seed is not None or source.overrides or source.allow_unread
    if fixed or source.virtual == Virtual.ALWAYS:
        raise CommandError(f"{source.path} is an executable: its weights and config are fixed", hint)
    if wanted.machine is not None and load_machine(wanted.machine).hash != executable.machine_hash:
        known = Machine.from_canonical(meta["machine"]).name
        raise CommandError(
            f"{source.path} was compiled for machine {known}, not for {wanted.machine} as it is now", hint
        )
    scheme = None if wanted.scheme is None else find_scheme(wanted.scheme).name
    for name, value in (("scheme", scheme), ("context", wanted.context)):
        if value is not None and value != meta[name]:
            raise CommandError(f"{source.path} was compiled with {name} {meta[name]}, not {value}", hint)
