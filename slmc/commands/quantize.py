"""slmc quantize"""

from __future__ import annotations

from pathlib import Path

import click

from compiler.quantization.calibration import LEAST_TOKENS, MOST_TOKENS
from compiler.quantization.methods import METHODS, SEPARATOR
from frontends.weights.quantized_record import read_record
from slmc.errors import one_line
from slmc.options import FILE, checkpoint_of, debug_option, scheme_option
from slmc.options import MAX_SEED as MAX_WEIGHT_SEED
from slmc.quantizing import Request, quantize_checkpoint
from slmc.streaming import console_of


@click.command(no_args_is_help=True)
@click.argument("checkpoint", type=FILE)
@scheme_option()
@click.option(
    "--method",
    default="rtn",
    show_default=True,
    metavar="METHOD",
    help=f"How: {', '.join(METHODS)}; several are joined by {SEPARATOR}, such as rotate{SEPARATOR}gptq.",
)
@click.option(
    "--text",
    type=FILE,
    metavar="FILE",
    help="A text whose tokens show the methods what inputs look like (default: the model writes one).",
)
@click.option(
    "--tokens",
    type=click.IntRange(LEAST_TOKENS, MOST_TOKENS),
    metavar="N",
    help="How many tokens of the text.  [default: 512, or what the model has if that is less]",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of the model's own text."
)
@click.option("-o", "--output", type=FILE, required=True, help="The directory to write; other commands accept it.")
@click.option("--force", is_flag=True, help="Replace a quantised model that is in this place.")
@click.option(
    "--random-weights",
    "random_seed",
    type=click.IntRange(0, MAX_WEIGHT_SEED),
    metavar="SEED",
    help="Use random weights made from SEED instead of those of the checkpoint.",
)
@click.option(
    "--allow-unread", is_flag=True, help="Accept config fields and tensors that the architecture does not read."
)
@debug_option
def quantize(
    checkpoint: Path,
    scheme: str | None,
    method: str,
    text: Path | None,
    tokens: int | None,
    seed: int,
    output: Path,
    force: bool,
    random_seed: int | None,
    allow_unread: bool,
) -> None:
    """Bring the matrices of CHECKPOINT, a Hugging Face directory, into the number formats of a scheme.

    The methods are described in docs/quantization.md.
    """
    source = checkpoint_of(checkpoint, random_seed, (), allow_unread)
    notes = quantize_checkpoint(source, Request(scheme, method, text, tokens, seed), output, force)
    for note in notes:
        click.echo(f"note: {one_line(note)}", err=True)
    size_bytes = sum(path.stat().st_size for path in output.iterdir())
    made = read_record(output)
    console_of().print(f"{output}: {made.scheme} by {method}, {size_bytes:,} bytes", markup=False, soft_wrap=True)
