"""slmc interpret"""

from __future__ import annotations

from pathlib import Path

import click

from slmc.building import scheme_of
from slmc.files import write_npz
from slmc.inputs import TOKENS
from slmc.interpreting import image_input, interpret_level
from slmc.options import FILE, checkpoint_of, checkpoint_options, debug_option, scheme_option
from slmc.progress import tell_notes
from slmc.streaming import check_folders


@click.command(no_args_is_help=True)
@click.argument("checkpoint", type=FILE)
@click.option("--level", type=click.Choice(["slm", "slmq"]), default="slm", show_default=True, help="Which IR to run.")
@click.option("--tokens", type=TOKENS, required=True, metavar="1,2,3|@ids.json", help="The tokens to process.")
@click.option("--image", type=FILE, metavar="FILE", help="A picture among the tokens.")
@click.option("--image-at", type=click.IntRange(0), metavar="N", help="Where among --tokens its rows begin.")
@click.option("--logits", type=FILE, help="Write an .npz: logits float32 [positions, vocabulary].")
@scheme_option()
@checkpoint_options
@debug_option
def interpret(
    checkpoint: Path,
    level: str,
    tokens: list[int],
    image: Path | None,
    image_at: int | None,
    logits: Path | None,
    scheme: str | None,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
) -> None:
    """Run the compiler's IR on tokens. It prints the most probable next token; no machine is involved.

    Level slm is the model in floating point, as published; slmq has the number formats of the scheme and gives the
    same bits as the executable.
    """
    if (image is None) != (image_at is None):
        raise click.UsageError("--image and --image-at go together")
    check_folders(logits)
    program = checkpoint_of(checkpoint, random_seed, settings, allow_unread).load()
    tell_notes(program)
    shown = None if image is None or image_at is None else image_input(program, image, image_at, len(tokens))
    rows = interpret_level(program, level, scheme_of(program, scheme), tokens, shown)
    if logits is not None:
        write_npz(logits, {"logits": rows})
    click.echo(f"{len(rows)} positions; the most probable next token is {int(rows[-1].argmax())}")
