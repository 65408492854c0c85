"""slmc inspect"""

from __future__ import annotations

import json
from pathlib import Path

import click

from frontends import Virtual
from isa.container import Executable
from slmc.executables import is_executable
from slmc.inspection import describe_checkpoint, describe_executable, show_checkpoint, show_executable
from slmc.options import FILE, checkpoint_of, checkpoint_options, debug_option
from slmc.streaming import console_of


@click.command(no_args_is_help=True)
@click.argument("file", type=FILE, metavar="FILE.slx|CHECKPOINT")
@checkpoint_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def inspect(
    file: Path,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    as_json: bool,
) -> None:
    """Show what a file contains.

    Of an executable: sections, memory map, symbols. Of a checkpoint: parameters, config.
    """
    console = console_of()
    if is_executable(file):
        description = describe_executable(Executable.open(file))
        show = show_executable
    else:
        program = checkpoint_of(file, random_seed, settings, allow_unread, Virtual.IF_ABSENT).load()
        description = describe_checkpoint(program)
        show = show_checkpoint
    if as_json:
        click.echo(json.dumps(description, indent=1))
    else:
        show(description, console)
