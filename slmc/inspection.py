"""What `slmc inspect` shows of an executable, as plain data and as tables."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from isa.container import Executable, section_name
from isa.machine import Machine
from slmc.tables import table_of

META_SHOWN = ("model", "source", "scheme", "context", "chunk", "vocabulary", "stop_tokens")


def describe_executable(executable: Executable) -> dict[str, Any]:
    """Sections, memory map and symbols of an executable, sizes in bytes."""
    meta = executable.meta
    machine = Machine.from_canonical(meta["machine"])
    return {
        "path": str(executable.path),
        "isa_version": ".".join(map(str, executable.isa_version)),
        "abi_version": executable.abi_version,
        "machine": machine.name,
        "machine_hash": executable.machine_hash.hex(),
        "program": {key: meta[key] for key in META_SHOWN if key in meta},
        "instructions": len(executable.text),
        "virtual_weights": None if executable.virtual_weights is None else asdict(executable.virtual_weights),
        "sections": [
            {
                "name": section_name(entry.type),
                "offset_bytes": entry.offset_bytes,
                "size_bytes": entry.size_bytes,
                "sha256": entry.sha256.hex(),
            }
            for entry in executable.sections
        ],
        "memory_map": {
            "WEIGHT": executable.weights_bytes,
            "TABLE": len(executable.table),
            **meta["regions"],
            "SRAM": machine.sram_bytes,
            "SMEM image": len(executable.smem_image),
        },
        "dram_capacity_bytes": machine.dram_capacity_bytes,
        "symbols": [
            {"name": s.name, "region": s.region, "offset_bytes": s.offset, "size_bytes": s.size_bytes, "kind": s.kind}
            for s in executable.symbols
        ],
    }


def show_executable(description: dict[str, Any], console: Console) -> None:
    d = description
    console.print(
        f"[bold]{escape(d['path'])}[/]: ISA {d['isa_version']}, ABI {d['abi_version']}, machine {d['machine']} "
        f"({d['machine_hash']}), {d['instructions']:,} instructions"
    )
    for key, value in d["program"].items():
        console.print(f"  {key}: {escape(str(value))}")
    if d["virtual_weights"]:
        console.print(
            f"  weights: virtual, {d['virtual_weights']['size_bytes']:,} bytes that are not in the file: it runs with "
            f"--timing-only; to fill them: {escape(d['virtual_weights']['fill'])}"
        )
    console.print()
    rows = [(s["name"], s["offset_bytes"], s["size_bytes"], s["sha256"][:16]) for s in d["sections"]]
    console.print(table_of("Sections", ("section", "offset#", "bytes#", "SHA-256"), rows))
    console.print(table_of("Memory map", ("region", "bytes#"), list(d["memory_map"].items())))
    symbols = [(s["name"], s["kind"], s["region"], s["offset_bytes"], s["size_bytes"]) for s in d["symbols"]]
    console.print(table_of("Symbols", ("symbol", "kind", "region", "offset#", "bytes#"), symbols))
