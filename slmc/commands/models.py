"""slmc models"""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from frontends.features import Features, known_features
from slmc.options import debug_option
from slmc.streaming import console_of
from slmc.tables import table_of

COLUMNS = ("family", "model_type", "formats", "attention", "positions", "norms", "MLP", "biases", "head")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def models(as_json: bool) -> None:
    """List the known model families and what their files describe. For others, write a .slm file (docs/own-architecture.md)."""
    known = known_features()
    if as_json:
        click.echo(json.dumps([asdict(features) for features in known], indent=1))
        return
    console_of().print(table_of("", COLUMNS, [row_of(features) for features in known]))


def row_of(f: Features) -> tuple[str, ...]:
    """One family; words of a cell are separated by commas."""
    attention = f.attention or ("plain",) if "attention" in f.mixers else ()
    mixers = (*(mixer for mixer in f.mixers if mixer != "attention"), *attention)
    cells = (f.model_types, f.formats, mixers, (*f.positions, *f.inputs), f.norms, f.mlp, f.biases, f.head)
    return (f.name, *(", ".join(words) or "-" for words in cells))
