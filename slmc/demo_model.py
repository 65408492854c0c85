"""Where the model of the demo lies: inside an installed package, or in a checkout's examples/."""

from __future__ import annotations

from pathlib import Path

from slmc.errors import CommandError

PACKAGED = Path(__file__).parent / "storyteller"
CHECKOUT = Path(__file__).parent.parent / "examples" / "storyteller"


def storyteller_path() -> Path:
    """The checkpoint directory. Raises CommandError if the installation has none."""
    for place in (PACKAGED, CHECKOUT):
        if (place / "config.json").is_file():
            return place
    raise CommandError("this installation has no storyteller model", "install slmc again, or run from a checkout")
