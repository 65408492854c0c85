"""Assembly text to an executable that has instructions and constants, but no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from isa.abi import TOKEN_BUFFER_OFFSET
from isa.assembler import assemble
from isa.container import ExecutableWriter, Section, canonical_json, symbols_to_bytes
from isa.machine import Machine, load_machine
from slmc.passes import read_source

CONTEXT = 1
TOKEN_BYTES = 4


def assemble_file(source: Path, machine_name: str, output: Path) -> None:
    """Raises AssemblyError, MachineError, ContainerError, OSError."""
    machine = load_machine(machine_name)
    assembly = assemble(read_source(source), str(source))
    with ExecutableWriter(output, machine.hash) as writer:
        writer.add(Section.TEXT, assembly.text)
        if assembly.smem:
            writer.add(Section.SMEM, assembly.smem)
        writer.add(Section.SYM, symbols_to_bytes(assembly.symbols()))
        writer.add(Section.DBG, assembly.debug().to_bytes())
        writer.add(Section.META, canonical_json(_meta(source, machine)))


def _meta(source: Path, machine: Machine) -> dict[str, Any]:
    """The least a session needs: one position, a token buffer, and the first instruction as entry."""
    return {
        "model": source.name,
        "scheme": "assembly",
        "context": CONTEXT,
        "chunk": 1,
        "vocabulary": 1,
        "regions": {"KV": 0, "IO": TOKEN_BUFFER_OFFSET + CONTEXT * TOKEN_BYTES, "SCRATCH": 0},
        "entry": {"generate": 0},
        "machine": json.loads(machine.canonical_json()),
        "stop_tokens": [],
        "tokenizer": None,
    }
