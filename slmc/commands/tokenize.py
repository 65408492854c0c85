"""slmc tokenize"""

from __future__ import annotations

import json
from pathlib import Path

import click

from slmc.inputs import TOKENS
from slmc.options import FILE, debug_option
from slmc.tokenizers import tokenizer_of


@click.command(no_args_is_help=True)
@click.argument("checkpoint", type=FILE, metavar="CHECKPOINT|OUT.slx")
@click.option("--text", help="Print the token ids of this text as JSON.")
@click.option("--ids", type=TOKENS, metavar="1,2,3|@ids.json", help="Print the text of these ids.")
@debug_option
def tokenize(checkpoint: Path, text: str | None, ids: list[int] | None) -> None:
    """Convert text to token ids, or back."""
    if (text is None) == (ids is None):
        raise click.UsageError("expected one of --text TEXT and --ids IDS")
    tokenizer = tokenizer_of(checkpoint)
    click.echo(tokenizer.decode(ids) if ids is not None else json.dumps(tokenizer.encode(text or "")))
