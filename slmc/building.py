"""From a checkpoint to an executable, as the commands and the Python API do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from compiler.driver import Observe, Options, compile_program
from compiler.emit.executable import vocabulary_of
from compiler.program import Program
from compiler.verify_each import StageVerifier
from frontends import Virtual, load_program
from isa.machine import load_machine
from slmc.progress import steps

DEFAULT_MACHINE, DEFAULT_SCHEME, DEFAULT_CONTEXT = "edge", "w8a8", 512


@dataclass(frozen=True)
class Checkpoint:
    """What the user says about a model: `overrides` are config values by name, as text."""

    path: Path
    random_seed: int | None = None
    allow_unread: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict[str, str])
    virtual: Virtual = Virtual.NEVER

    def load(self) -> Program:
        """Raises FrontendError."""
        return load_program(
            self.path,
            random_seed=self.random_seed,
            virtual=self.virtual,
            allow_unread=self.allow_unread,
            overrides=self.overrides,
        )


def default_context(program: Program) -> int:
    """512, or what the model has if that is less."""
    return min(DEFAULT_CONTEXT, program.max_positions or DEFAULT_CONTEXT)


@dataclass(frozen=True)
class Target:
    """What to compile for; context None: 512, or what the model has if that is less; scheme None: as scheme_of says.

    allow_oversize: the program may need more DRAM than the machine has; it is timed then, not run.
    """

    machine: str = DEFAULT_MACHINE
    scheme: str | None = None
    context: int | None = None
    allow_oversize: bool = False

    def options(self, program: Program) -> Options:
        """Raises MachineError for an unknown machine."""
        context = default_context(program) if self.context is None else self.context
        return Options(
            load_machine(self.machine), scheme_of(program, self.scheme), context, allow_oversize=self.allow_oversize
        )


def scheme_of(program: Program, wanted: str | None) -> str:
    """The scheme asked for, else that of a quantised checkpoint, else the default."""
    return wanted or program.scheme or DEFAULT_SCHEME


def build(program: Program, options: Options, output: Path, observe: Observe | None = None) -> ModuleOp:
    """Compiles to `output`, with progress on stderr. Raises CompileError, ContainerError."""
    with steps() as progress:

        def follow(stage: str, transform: ModulePass | None, module: ModuleOp) -> None:
            if transform is not None:
                progress.say(f"compile: {stage}, {transform.name}")
            if observe is not None:
                observe(stage, transform, module)

        def written(done: int, total: int) -> None:
            progress.count_beside("write weights", done, total)

        return compile_program(program, options, output, follow, written)


def all_of(*observers: Observe) -> Observe:
    """Observers one after the other."""

    def observe(stage: str, transform: ModulePass | None, module: ModuleOp) -> None:
        for observer in observers:
            observer(stage, transform, module)

    return observe


def verifier_of(program: Program, options: Options) -> StageVerifier:
    """Compares the interpreters' bits after each pass from the exact level on."""
    return StageVerifier(program, options.context, vocabulary_of(program))
