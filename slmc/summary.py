"""One line about an executable."""

from __future__ import annotations

from pathlib import Path

from isa.container import Executable
from isa.spec import INSTRUCTION_BYTES


def summary_of(path: Path) -> str:
    """`model.slx: llama w8a8 for edge, context 512; 663 instructions, 3.4 MB`."""
    executable = Executable.open(path, verify=False)
    meta = executable.meta
    text_bytes = len(executable.text) * INSTRUCTION_BYTES
    return (
        f"{path}: {meta['model']} {meta['scheme']} for {meta['machine']['name']}, context {meta['context']}; "
        f"{len(executable.text)} instructions ({text_bytes:,} bytes), {path.stat().st_size:,} bytes in all"
    )
