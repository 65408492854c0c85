"""slmc warmup"""

from __future__ import annotations

from pathlib import Path

import click

from slmc.building import Checkpoint
from slmc.demo_model import storyteller_path
from slmc.executables import Wanted, opened
from slmc.options import FILE, debug_option
from slmc.warming import warm_up


@click.command()
@click.argument("executables", type=FILE, nargs=-1, metavar="[OUT.slx|CHECKPOINT]...")
@debug_option
def warmup(executables: tuple[Path, ...]) -> None:
    """Compile the fast engine for this computer, so that later runs start at once.

    Without a file what the storyteller of slmc demo needs; with files also the kernels that these use. The code is kept below the user's
    cache directory, or NUMBA_CACHE_DIR.
    """
    for path in executables or (storyteller_path(),):
        with opened(Checkpoint(path), Wanted()) as executable:
            warmth = warm_up(executable)
        click.echo(
            f"{path.name}: {warmth.kernels} kernels compiled, ready after {warmth.seconds:.1f} s ({warmth.directory})"
        )
