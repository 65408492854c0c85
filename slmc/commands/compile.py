"""slmc compile"""

from __future__ import annotations

from pathlib import Path

import click

from compiler.driver import STAGE_NAMES, lower
from frontends import Virtual
from slmc.building import Target, all_of, build, verifier_of
from slmc.dumps import NAMES, Dumper
from slmc.explaining import explanation
from slmc.files import write_text
from slmc.ir_text import module_text
from slmc.options import FILE, checkpoint_of, checkpoint_options, debug_option, target_options, timing_options
from slmc.progress import tell_notes
from slmc.summary import summary_of


@click.command("compile", no_args_is_help=True)
@click.argument("checkpoint", type=FILE)
@target_options()
@checkpoint_options
@timing_options
@click.option("-o", "--output", type=FILE, help="The executable to write (with --stop-after: the IR text).")
@click.option(
    "--dump-after",
    type=click.Choice(NAMES),
    multiple=True,
    metavar="STAGE_OR_PASS",
    help="Write the IR behind this stage or pass; may be repeated.",
)
@click.option("--dump-dir", type=FILE, help="Where the dumps go, one file each (default: stdout).")
@click.option("--stop-after", type=click.Choice(STAGE_NAMES), help="Write the IR behind this stage and stop.")
@click.option(
    "--explain",
    is_flag=True,
    help="Print what each operator costs by prediction and why this plan (docs/prediction.md).",
)
@click.option("--verify-each", is_flag=True, help="Run the IR on a short prompt after each pass and compare the bits.")
@debug_option
def compile_checkpoint(
    checkpoint: Path,
    machine: str,
    scheme: str | None,
    context: int | None,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    virtual_weights: bool,
    allow_oversize: bool,
    output: Path | None,
    dump_after: tuple[str, ...],
    dump_dir: Path | None,
    stop_after: str | None,
    explain: bool,
    verify_each: bool,
) -> None:
    """Compile CHECKPOINT to an executable."""
    if output is None and stop_after is None and not explain:
        raise click.UsageError("expected -o OUT.slx, the executable to write, or --explain")
    if virtual_weights and verify_each:
        raise click.UsageError("--verify-each runs the model, and --virtual-weights have no values")
    virtual = Virtual.ALWAYS if virtual_weights else Virtual.NEVER
    program = checkpoint_of(checkpoint, random_seed, settings, allow_unread, virtual).load()
    tell_notes(program)
    options = Target(machine, scheme, context, allow_oversize).options(program)
    dumper = Dumper(dump_after or (STAGE_NAMES if dump_dir else ()), dump_dir)
    verifier = verifier_of(program, options)
    observe = all_of(dumper, verifier) if verify_each else dumper
    if stop_after is not None:
        text = module_text(lower(program, options, stop_after, observe))
        if output is None:
            click.echo(text, nl=False)
        else:
            write_text(output, text)
    elif output is not None:
        build(program, options, output, observe)
        click.echo(summary_of(output))
    if explain:
        for line in explanation(program, options):
            click.echo(line)
    if verify_each:
        click.echo(f"the same bits after {len(verifier.checked)} passes: {', '.join(verifier.checked)}", err=True)
