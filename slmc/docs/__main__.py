"""`python -m slmc.docs [--check]`"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import isa.docs
from slmc.docs.cli_page import cli_page
from slmc.docs.pipeline_page import pipeline_page

FOLDER = Path(__file__).parent.parent.parent / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "isa.md": isa.docs.page,
    "cli.md": cli_page,
    "pipeline.md": pipeline_page,
}


def main(arguments: Sequence[str], folder: Path = FOLDER) -> int:
    """Writes the pages, or with --check returns 1 if one of them is not fresh."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python -m slmc.docs [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, page in PAGES.items():
        path, text = folder / name, page()
        if not arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"docs/{name} is not fresh: run python -m slmc.docs", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
