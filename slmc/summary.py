"""One line about an executable."""

from __future__ import annotations

from pathlib import Path

from isa.container import Executable
from isa.spec import INSTRUCTION_BYTES


def summary_of(path: Path) -> str:
    """`model.slx: llama w8a8 for edge, context 512; 663 instructions (10,608 bytes), 3,400,000 bytes in all`."""
    executable = Executable.open(path, verify=False)
    meta = executable.meta
    text_bytes = len(executable.text) * INSTRUCTION_BYTES
    virtual = (
        "" if executable.virtual_weights is None else f" without the {executable.weights_bytes:,} of virtual weights"
    )
    return (
        f"{path}: {meta['model']} {meta['scheme']} for {meta['machine']['name']}, context {meta['context']}; "
        f"{len(executable.text)} instructions ({text_bytes:,} bytes), {path.stat().st_size:,} bytes in all{virtual}"
    )
