"""slmc inspect"""

from __future__ import annotations

import json
from pathlib import Path

import click

from frontends import Virtual
from isa.container import Executable
from slmc.building import default_context
from slmc.executables import is_executable
from slmc.inspection import describe_executable, show_executable
from slmc.model_inspection import describe_model, show_model
from slmc.options import FILE, checkpoint_of, checkpoint_options, debug_option
from slmc.streaming import console_of


@click.command(no_args_is_help=True)
@click.argument("file", type=FILE, metavar="FILE.slx|CHECKPOINT")
@checkpoint_options
@click.option("--context", type=click.IntRange(1), metavar="N", help="Positions in the KV cache.  [default: 512]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def inspect(
    file: Path,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    context: int | None,
    as_json: bool,
) -> None:
    """Show what a file contains.

    Of an executable: sections, memory map, symbols. Of a checkpoint, a config or a .slm file: parameters, work and bytes per token,
    memory by scheme, weights.
    """
    console = console_of()
    if is_executable(file):
        description = describe_executable(Executable.open(file))
        show = show_executable
    else:
        program = checkpoint_of(file, random_seed, settings, allow_unread, Virtual.IF_ABSENT).load()
        description = describe_model(program, default_context(program) if context is None else context)
        show = show_model
    if as_json:
        click.echo(json.dumps(description, indent=1))
    else:
        show(description, console)
