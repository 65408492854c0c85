"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from compiler.schemes import BASES, MODIFIERS
from frontends import Virtual
from slmc.building import DEFAULT_MACHINE, DEFAULT_SCHEME, Checkpoint
from slmc.inputs import SETTING

F = TypeVar("F", bound=Callable[..., Any])
DEBUG_KEY = "slmc.debug"
MAX_SEED = 2**63 - 1
FILE = click.Path(path_type=Path)


def _remember_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[DEBUG_KEY] = True


debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_remember_debug, help="Show tracebacks of errors."
)


def applied(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several decorators as one, the first on top."""

    def apply(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


def checkpoint_options(function: F) -> F:
    """How a checkpoint is read: --random-weights, --set, --allow-unread."""
    return applied(
        click.option(
            "--random-weights",
            "random_seed",
            type=click.IntRange(0, MAX_SEED),
            metavar="SEED",
            help="Use random weights made from SEED instead of those of the checkpoint.",
        ),
        click.option(
            "--set", "settings", type=SETTING, multiple=True, help="Change a value of the config; may be repeated."
        ),
        click.option(
            "--allow-unread",
            is_flag=True,
            help="Accept config fields and tensors that the architecture does not read.",
        ),
    )(function)


def checkpoint_of(
    path: Path,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    virtual: Virtual = Virtual.NEVER,
) -> Checkpoint:
    if random_seed is not None and virtual == Virtual.ALWAYS:
        raise click.UsageError("--random-weights and --virtual-weights exclude each other")
    return Checkpoint(path, random_seed, allow_unread, dict(settings), virtual)


def timing_options(function: F) -> F:
    """What only programs that are timed can do without: --virtual-weights, --allow-oversize."""
    return applied(
        click.option(
            "--virtual-weights",
            is_flag=True,
            help="Take the shapes of the weights without values: enough for --timing-only.",
        ),
        click.option(
            "--allow-oversize",
            is_flag=True,
            help="Accept a program that needs more DRAM than the machine has, for --timing-only.",
        ),
    )(function)


def check_chat(chat: bool, system: str | None, has_text: bool, text_option: str) -> None:
    """Raises UsageError for options of a chat that do not go together."""
    if chat and not has_text:
        raise click.UsageError(f"--chat goes with {text_option} TEXT")
    if system is not None and not chat:
        raise click.UsageError("--system goes with --chat")


def scheme_option() -> Callable[[F], F]:
    return click.option(
        "-q",
        "--scheme",
        metavar="SCHEME",
        help=f"Number formats of weights and activations: {', '.join(BASES)}, with {MODIFIERS}, or a TOML file of a mixed one."
        f"  [default: that of a quantised checkpoint, else {DEFAULT_SCHEME}]",
    )


def target_options(machine: str | None = DEFAULT_MACHINE) -> Callable[[F], F]:
    """What to compile for: -t, -q, --context."""
    return applied(
        click.option(
            "-t",
            "--machine",
            default=machine,
            metavar="MACHINE",
            help=f"A built-in machine (see slmc machines) or a TOML file.  [default: {DEFAULT_MACHINE}]",
        ),
        scheme_option(),
        click.option(
            "--context",
            type=click.IntRange(1),
            metavar="N",
            help="Positions of a conversation.  [default: 512, or what the model has if that is less]",
        ),
    )
