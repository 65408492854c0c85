"""slmc tokenize"""

from __future__ import annotations

import json
from pathlib import Path

import click

from slmc.inputs import TOKENS
from slmc.options import FILE, check_chat, debug_option
from slmc.texts import Texts


@click.command(no_args_is_help=True)
@click.argument("checkpoint", type=FILE, metavar="CHECKPOINT|OUT.slx")
@click.option("--text", help="Print the token ids of this text as JSON.")
@click.option("--chat", is_flag=True, help="The text is a message in the model's chat template.")
@click.option("--system", metavar="TEXT", help="With --chat: a message to the model before it.")
@click.option("--ids", type=TOKENS, metavar="1,2,3|@ids.json", help="Print the text of these ids.")
@debug_option
def tokenize(checkpoint: Path, text: str | None, chat: bool, system: str | None, ids: list[int] | None) -> None:
    """Convert text to token ids, or back."""
    if (text is None) == (ids is None):
        raise click.UsageError("expected one of --text TEXT and --ids IDS")
    check_chat(chat, system, text is not None, "--text")
    texts = Texts.of_path(checkpoint)
    if ids is not None:
        click.echo(texts.known_tokenizer().decode(ids))
    else:
        click.echo(json.dumps(texts.encode_chat(text or "", system) if chat else texts.encode(text or "")))
