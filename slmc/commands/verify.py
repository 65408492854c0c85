"""slmc verify"""

from __future__ import annotations

import json
from pathlib import Path

import click

from simulator.fast.lockstep import LockstepEngine
from slmc.executables import Wanted, opened
from slmc.inputs import TOKENS
from slmc.options import FILE, checkpoint_of, checkpoint_options, debug_option, target_options
from slmc.session import Session

DEFAULT_PROMPT_TOKENS = 8


@click.command(no_args_is_help=True)
@click.argument("executable", type=FILE, metavar="OUT.slx|CHECKPOINT")
@click.option("--prompt", metavar="TEXT", help="The text to continue.")
@click.option("--tokens", type=TOKENS, metavar="1,2,3|@ids.json", help="Token ids.  [default: 0 to 7]")
@click.option(
    "-n", "--max-new", type=click.IntRange(1), default=4, show_default=True, metavar="N", help="Tokens to generate."
)
@click.option(
    "--every",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Check one in about N instructions.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Which ones are checked.")
@target_options(None)
@checkpoint_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def verify(
    executable: Path,
    prompt: str | None,
    tokens: list[int] | None,
    max_new: int,
    every: int,
    seed: int,
    machine: str | None,
    scheme: str | None,
    context: int | None,
    random_seed: int | None,
    settings: tuple[tuple[str, str], ...],
    allow_unread: bool,
    as_json: bool,
) -> None:
    """Run both engines in lockstep and compare every register and byte that an instruction writes.

    The reference engine executes each instruction from the state the fast engine is in. The first difference is an error that names
    the instruction, the operator it comes from, and the values. A model of full size is checked at a sample: --every 10007.
    """
    if prompt is not None and tokens is not None:
        raise click.UsageError("expected --prompt TEXT or --tokens IDS, not both")
    source = checkpoint_of(executable, random_seed, settings, allow_unread)
    with opened(source, Wanted(machine, scheme, context)) as program:
        session = Session(program, seed=seed, check_every=every)
        given = prompt if prompt is not None else tokens if tokens is not None else list(range(DEFAULT_PROMPT_TOKENS))
        generated = list(session.generate(given, max_new))
        engine = session.device.engine
        assert isinstance(engine, LockstepEngine)
        checked = dict(engine.checked.most_common())
    total, executed = sum(checked.values()), session.timing.records().instructions
    if as_json:
        result = {"tokens": len(generated), "instructions": executed, "checked": total, "by_mnemonic": checked}
        click.echo(json.dumps(result, indent=1))
        return
    click.echo(f"{total:,} of {executed:,} instructions checked, {len(generated)} tokens: no difference")
    click.echo(", ".join(f"{name} {count:,}" for name, count in checked.items()))
