"""slmc evaluate"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import click

from compiler.schemes import BASES, MODIFIERS
from slmc.building import DEFAULT_MACHINE, DEFAULT_SCHEME
from slmc.errors import CommandError
from slmc.evaluation.costs import Timed
from slmc.evaluation.evaluating import Asked, evaluate_rows
from slmc.evaluation.page import page_of, show_evaluation
from slmc.evaluation.points import plot_of_evaluation
from slmc.evaluation.rows import Row
from slmc.evaluation.windows import LEAST_WINDOW
from slmc.files import write_text
from slmc.options import FILE, checkpoint_of, checkpoint_options, debug_option
from slmc.streaming import check_folders, console_of

POSITIVE = click.IntRange(1)
AT_LEAST_TWO = click.IntRange(LEAST_WINDOW)


@click.command(no_args_is_help=True)
@click.argument("model", type=FILE, metavar="CHECKPOINT|OUT.slx")
@click.option("--text", type=FILE, required=True, metavar="FILE", help="The text to predict, UTF-8.")
@click.option(
    "-q",
    "--scheme",
    "schemes",
    multiple=True,
    metavar="SCHEME",
    help=f"Number formats to evaluate; may be repeated: {', '.join(BASES)}, with {MODIFIERS}.  [default: {DEFAULT_SCHEME}]",
)
@click.option(
    "-t",
    "--machine",
    metavar="MACHINE",
    help=f"A built-in machine (see slmc machines) or a TOML file.  [default: {DEFAULT_MACHINE}]",
)
@click.option(
    "--reference",
    type=FILE,
    metavar="CHECKPOINT",
    help="The model whose fp32 numbers are compared with.  [default: CHECKPOINT; none for OUT.slx]",
)
@click.option("--tokens", type=AT_LEAST_TWO, metavar="N", help="Use the first N tokens of the text.  [default: all]")
@click.option(
    "--window",
    type=AT_LEAST_TWO,
    metavar="N",
    help="Tokens the model sees at once.  [default: 512, or what the model has if that is less]",
)
@click.option(
    "--prompt-length",
    type=POSITIVE,
    metavar="N",
    help="Tokens to prefill when timing.  [default: 512, or what the context leaves]",
)
@click.option("-n", "--decoded", type=POSITIVE, metavar="N", help="Tokens to decode when timing.  [default: 4]")
@checkpoint_options
@click.option("-o", "--output", type=FILE, help="Write the table as a page in Markdown.")
@click.option("--json", "json_file", type=FILE, help="Write all numbers as JSON (docs/evaluation.md).")
@click.option("--plot", type=FILE, help="Draw accuracy against energy and speed, as SVG.")
@debug_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: Path,
    text: Path,
    schemes: tuple[str, ...],
    machine: str | None,
    reference: Path | None,
    tokens: int | None,
    window: int | None,
    prompt_length: int | None,
    decoded: int | None,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    output: Path | None,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Measure what number formats cost in accuracy, and what they save.

    Each scheme's exact numbers, those of its executable, predict the text: perplexity, divergence from fp32, agreement,
    errors of layers. The same program is timed on the machine. An executable is run on the simulator. A scheme that fails
    is listed with the reason, and the exit code is 1.
    """
    check_folders(output, json_file, plot)
    source = checkpoint_of(model, random_seed, settings, allow_unread)
    asked = Asked(schemes, machine, reference, tokens, window, Timed(prompt_length, decoded))
    evaluation = evaluate_rows(source, text, asked, tell_row)
    show_evaluation(evaluation, console_of())
    if plot is not None:
        write_text(plot, plot_of_evaluation(evaluation))
    if output is not None:
        beside = None if plot is None else Path(os.path.relpath(plot, output.parent))
        write_text(output, page_of(evaluation, command_line(ctx), beside))
    if json_file is not None:
        write_text(json_file, json.dumps(evaluation.document(), indent=1, allow_nan=False) + "\n")
    if evaluation.failed:
        raise CommandError(f"{len(evaluation.failed)} of {len(evaluation.rows)} rows are not complete")


def tell_row(row: Row) -> None:
    click.echo(f"{row.name}: {row.error or 'done'}", err=True)


def command_line(ctx: click.Context) -> str:
    """The command that makes the page again."""
    words = ["slmc", "evaluate"]
    for param in ctx.command.params:
        if (
            param.name not in ctx.params
            or ctx.get_parameter_source(param.name) != click.core.ParameterSource.COMMANDLINE
        ):
            continue
        value = ctx.params[param.name]
        if isinstance(param, click.Argument):
            words.append(str(value))
            continue
        name = param.opts[0]
        if isinstance(param, click.Option) and param.is_flag:
            words.append(name)
        elif isinstance(param, click.Option) and param.multiple:
            for each in value:
                words += [name, "=".join(each) if isinstance(each, tuple) else str(each)]
        else:
            words += [name, str(value)]
    return shlex.join(words)
