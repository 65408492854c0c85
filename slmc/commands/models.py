"""slmc models"""

from __future__ import annotations

import click

from frontends import known_architectures
from slmc.options import debug_option
from slmc.streaming import console_of
from slmc.tables import table_of


@click.command()
@debug_option
def models() -> None:
    """List the known model families. For others, write a .slm file (docs/slm-language.md)."""
    rows = [(file.removesuffix(".slm"), ", ".join(types)) for file, types in known_architectures().items()]
    console_of().print(table_of("", ("family", "model_type of config.json"), rows))
