"""slmc asm"""

from __future__ import annotations

from pathlib import Path

import click

from slmc.assembly import assemble_file
from slmc.options import FILE, debug_option


@click.command(no_args_is_help=True)
@click.argument("file", type=FILE)
@click.option("-t", "--machine", default="edge", show_default=True, help="The machine the program is for.")
@click.option("-o", "--output", type=FILE, required=True, help="The executable to write.")
@debug_option
def asm(file: Path, machine: str, output: Path) -> None:
    """Assemble FILE.s to an executable. It has no weights."""
    assemble_file(file, machine, output)
