"""slmc survey"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from slmc.building import DEFAULT_MACHINE, DEFAULT_SCHEME
from slmc.errors import CommandError
from slmc.files import write_text
from slmc.machines_page import machines_page_of
from slmc.options import FILE, debug_option, scheme_option
from slmc.streaming import check_folders, console_of
from slmc.survey import Row, Study, configs_of, document_of
from slmc.survey import survey as survey_models
from slmc.survey_page import page_of, show_survey

USUAL = Study()
POSITIVE = click.IntRange(1)


@click.command(no_args_is_help=True)
@click.argument("models", type=FILE, nargs=-1, required=True, metavar="CONFIG|FOLDER...")
@click.option(
    "-t",
    "--machine",
    "machines",
    multiple=True,
    default=(USUAL.machine,),
    metavar="MACHINE",
    help=f"A built-in machine (see slmc machines) or a TOML file; several give a table of machines.  [default: {DEFAULT_MACHINE}]",
)
@scheme_option()
@click.option(
    "--context",
    type=POSITIVE,
    default=USUAL.context,
    show_default=True,
    metavar="N",
    help="Positions of a program, or what the model has if that is less.",
)
@click.option(
    "--prompt-length", type=POSITIVE, default=USUAL.prompt, show_default=True, metavar="N", help="Tokens to prefill."
)
@click.option(
    "-n", "--decoded", type=POSITIVE, default=USUAL.decoded, show_default=True, metavar="N", help="Tokens to decode."
)
@click.option("-o", "--output", type=FILE, help="Write the table as a page in Markdown.")
@click.option("--json", "json_file", type=FILE, help="Write all numbers as JSON (docs/stats.md).")
@debug_option
def survey(
    models: tuple[Path, ...],
    machines: tuple[str, ...],
    scheme: str | None,
    context: int,
    prompt_length: int,
    decoded: int,
    output: Path | None,
    json_file: Path | None,
) -> None:
    """Time many models on one machine, or on several, without weights.

    Each config is compiled with virtual weights and timed: prefill of a prompt, then decoding. A FOLDER stands for the
    configs in it. A model that fails is listed with the reason, and the exit code is 1.
    """
    check_folders(output, json_file)
    studies = [Study(machine, scheme or DEFAULT_SCHEME, context, prompt_length, decoded) for machine in machines]
    surveys = [(study, timed(models, study, is_one=len(studies) == 1)) for study in studies]
    if output is not None:
        command = command_line(models, studies, output)
        page = page_of(surveys[0][1], studies[0], command) if len(studies) == 1 else machines_page_of(surveys, command)
        write_text(output, page)
    if json_file is not None:
        documents = [document_of(rows, study) for study, rows in surveys]
        document = documents[0] if len(documents) == 1 else {"schema": 1, "surveys": documents}
        write_text(json_file, json.dumps(document, indent=1, allow_nan=False) + "\n")
    rows = [row for _, rows in surveys for row in rows]
    failed = sum(row.error is not None for row in rows)
    if failed:
        raise CommandError(f"{failed} of {len(rows)} models could not be measured")


def timed(models: tuple[Path, ...], study: Study, is_one: bool) -> list[Row]:
    """The rows of a machine, shown as they are done and then as a table; `is_one`: of no other machine."""
    rows: list[Row] = []
    for row in survey_models(configs_of(models), study):
        rows.append(row)
        click.echo(f"{'' if is_one else study.machine + ', '}{row.name}: {row.error or 'done'}", err=True)
    show_survey(rows, console_of(), "" if is_one else study.machine)
    return rows


def command_line(models: tuple[Path, ...], studies: Sequence[Study], output: Path) -> str:
    """The command that makes the page again."""
    study, machines = studies[0], [study.machine for study in studies]
    chosen = [] if machines == [USUAL.machine] else [text for name in machines for text in ("-t", name)]
    options = {
        "-q": (study.scheme, USUAL.scheme),
        "--context": (study.context, USUAL.context),
        "--prompt-length": (study.prompt, USUAL.prompt),
        "-n": (study.decoded, USUAL.decoded),
    }
    given = [text for name, (value, usual) in options.items() if value != usual for text in (name, str(value))]
    return shlex.join(["slmc", "survey", *map(str, models), *chosen, *given, "-o", str(output)])
