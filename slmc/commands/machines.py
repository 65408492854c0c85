"""slmc machines"""

from __future__ import annotations

import json

import click

from isa.machine import builtin_machines, load_machine
from slmc.machine_table import machines_table, show_machine
from slmc.options import debug_option
from slmc.streaming import console_of


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@debug_option
def machines(name: str | None, as_json: bool) -> None:
    """List machines, or show one. NAME is a built-in machine or a TOML file; all its numbers are shown with their sources."""
    console = console_of()
    if name is None:
        known = [load_machine(each) for each in builtin_machines()]
        if as_json:
            click.echo(json.dumps([json.loads(machine.canonical_json()) for machine in known], indent=1))
        else:
            console.print(machines_table(known))
        return
    machine = load_machine(name)
    if as_json:
        click.echo(json.dumps(json.loads(machine.canonical_json()), indent=1))
    else:
        show_machine(machine, console)
