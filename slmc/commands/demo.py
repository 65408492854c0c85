"""slmc demo"""

from __future__ import annotations

import click

from slmc.demonstration import DEFAULT_PROMPT, DEFAULT_TOKENS, demonstrate
from slmc.options import debug_option


@click.command()
@click.option("--prompt", default=DEFAULT_PROMPT, show_default=True, help="How the story begins.")
@click.option("-n", "--max-new", type=click.IntRange(1), default=DEFAULT_TOKENS, show_default=True, metavar="N")
@debug_option
def demo(prompt: str, max_new: int) -> None:
    """Tell a story and show what it costs.

    Compiles a small storyteller model, runs it on the simulator, and shows time and energy.
    """
    demonstrate(prompt, max_new)
