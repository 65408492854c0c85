"""slmc opt"""

from __future__ import annotations

from pathlib import Path

import click

from slmc.files import write_text
from slmc.ir_text import module_text, parse_module
from slmc.options import FILE, debug_option
from slmc.passes import read_source, run_pipeline


@click.command(no_args_is_help=True)
@click.argument("file", type=FILE)
@click.option(
    "-p",
    "--passes",
    default="",
    metavar="PIPELINE",
    help='Passes to run, such as "canonicalize,convert-slm-to-slmq{scheme=\\"bf16\\"}"; none: only parse and verify.',
)
@click.option("-o", "--output", type=FILE, help="Where to write the text (default: stdout).")
@click.option("--generic", is_flag=True, help="Print MLIR's generic format.")
@click.option("--no-locations", is_flag=True, help="Leave out the places in the source.")
@debug_option
def opt(file: Path, passes: str, output: Path | None, generic: bool, no_locations: bool) -> None:
    """Run passes on IR text. FILE (- is stdin) holds the text of any stage, as written by compile --dump-after."""
    name = "<stdin>" if str(file) == "-" else str(file)
    module = run_pipeline(parse_module(read_source(file), name), passes)
    text = module_text(module, generic, locations=not no_locations)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
