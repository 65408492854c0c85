"""`--dump-after`: the module's text behind chosen stages and passes, to stdout or into a directory."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import click
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from compiler.driver import PASSES, STAGE_NAMES
from slmc.files import write_text
from slmc.ir_text import module_text

NAMES = (*STAGE_NAMES, *PASSES)


class Dumper:
    """An observer of the pipeline. Files are numbered in the order of the passes: `11-tile-allocate-dram.mlir`."""

    def __init__(self, names: Collection[str], directory: Path | None) -> None:
        self.names = names
        self.directory = directory
        self.passes_seen = 0

    def __call__(self, stage: str, transform: ModulePass | None, module: ModuleOp) -> None:
        self.passes_seen += transform is not None
        if (stage if transform is None else transform.name) not in self.names:
            return
        name = (
            f"{self.passes_seen:02}-{stage}" if transform is None else f"{self.passes_seen:02}-{stage}-{transform.name}"
        )
        if self.directory is None:
            click.echo(f"// {name}\n{module_text(module)}", nl=False)
        else:
            self.directory.mkdir(parents=True, exist_ok=True)
            write_text(self.directory / f"{name}.mlir", module_text(module))
