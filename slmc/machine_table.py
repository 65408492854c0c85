"""Machine descriptions as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from isa.machine import Machine
from isa.machine_numbers import Count, Real, Sourced
from slmc.tables import table_of


def machines_table(machines: Sequence[Machine]) -> Table:
    """One row per machine."""
    rows = [
        (
            machine.name,
            f"{machine.mxu_rows} x {machine.mxu_columns}",
            f"{machine.clock_hz / 1e9:g} GHz",
            f"{machine.sram_bytes // 1024:,} KiB",
            f"{machine.memory.peak_bytes_per_second / 1e9:.4g} GB/s",
            f"{machine.dram_capacity_bytes / (1 << 30):g} GiB",
            machine.description,
        )
        for machine in machines
    ]
    return table_of("", ("machine", "MACs", "clock", "SRAM", "DRAM", "capacity", "description"), rows)


def show_machine(machine: Machine, console: Console) -> None:
    """All numbers with their sources."""
    console.print(f"[bold]{machine.name}[/] ({machine.hash.hex()}): {escape(machine.description)}")
    rows = [
        (name, f"{number.value:,}", number.unit or "", number.uncertainty or "", number.source)
        for name, number in _numbers("", machine)
    ]
    console.print(table_of("", ("number", "value", "unit", "uncertainty", "source"), rows))


def _numbers(prefix: str, table: BaseModel) -> Iterator[tuple[str, Count | Real]]:
    for name, item in table:
        parts = item if isinstance(item, list) else [item]
        for part in parts:
            if isinstance(part, Count | Real):
                yield prefix + name, part
            elif isinstance(part, BaseModel) and not isinstance(part, Sourced):
                yield from _numbers(f"{prefix}{name}.", part)
