"""Runs the study of docs/comparison.md: makes the tools' environments, runs them and slmc, and writes the page.

    python benchmarks/comparison/run.py [--tools DIR] [-o docs/comparison.md]

--keep-tools takes the tools' numbers from results.json and runs slmc only; --render runs nothing. Needs the Python that slmc is
installed for; the tools go into environments of their own below DIR.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from crosscheck import genz, ours, page, scalesim, zigzag
from crosscheck.cases import ROOT, all_cases
from crosscheck.environments import TOOLS, Tool, install, run_driver

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slmc-comparison"


def run_tools(folder: Path) -> dict[str, Any]:
    """Numbers of every tool; what is kept in `folder` is not run again."""
    for tool in TOOLS:
        install(tool, folder)

    def run(tool: Tool, name: str, request: dict[str, Any]) -> dict[str, Any]:
        return run_driver(tool, folder, name, request)

    cases = all_cases()
    return {"scalesim": scalesim.study(cases, run), "zigzag": zigzag.study(cases, run), "genz": genz.study(cases, run)}


def write(path: Path, text: str) -> None:
    """Complete or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tools", type=Path, default=CACHE, help="directory for the environments and what was run")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "comparison.md")
    parser.add_argument("--keep-tools", action="store_true", help="run slmc only")
    parser.add_argument("--render", action="store_true", help="run nothing, write the page from results.json")
    options = parser.parse_args()
    if not options.render:
        tools = page.load()[0] if options.keep_tools else run_tools(options.tools.resolve())
        write(page.RESULTS, json.dumps(tools | {"slmc": ours.study()}, indent=1, sort_keys=True) + "\n")
    write(options.output, page.render(*page.load()))


if __name__ == "__main__":
    main()
