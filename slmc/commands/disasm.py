"""slmc disasm"""

from __future__ import annotations

from pathlib import Path

import click

from isa.container import Executable
from isa.disassembler import disassemble_executable
from slmc.files import write_text
from slmc.options import FILE, debug_option


@click.command(no_args_is_help=True)
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=FILE, help="Where to write the text (default: stdout).")
@debug_option
def disasm(file: Path, output: Path | None) -> None:
    """Print the assembly of an executable. `slmc asm` makes the same bytes of it."""
    text = disassemble_executable(Executable.open(file))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
