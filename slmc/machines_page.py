"""A survey of several machines as a page in Markdown: how near each comes to its bound, and why where it is far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isa.machine import load_machine
from slmc.bottlenecks import EXPLAINED
from slmc.survey import Phase, Row, Study
from slmc.survey_page import markdown

HEADER = (
    "| machine | model | chunk | prefill cycles | x floor | bound | decode cycles | x floor | bound |\n"
    "|---|---|---:|---:|---:|---|---:|---:|---|\n"
)


def machines_page_of(surveys: Sequence[tuple[Study, Sequence[Row]]], command: str) -> str:
    """The page; `command` is what made it. All studies differ in nothing but their machine."""
    study = surveys[0][0]
    machines = [load_machine(each.machine) for each, _ in surveys]
    described = "".join(f"- `{machine.name}`: {machine.description}\n" for machine in machines)
    rows = [(machine.name, row) for machine, (_, found) in zip(machines, surveys, strict=True) for row in found]
    table = "".join(cells for name, row in rows for cells in line_of(name, row))
    reasons = "".join(line for name, row in rows for line in reasons_of(name, row))
    missing = "".join(f"- `{name}`, {row.name}: {markdown(row.error)}\n" for name, row in rows if row.error)
    return (
        "# How near machines come to their bounds\n\n"
        f"Models in scheme `{study.scheme}`, timed without weights. Made by\n\n"
        f"    {command}\n\n"
        f"{described}\n"
        f"- Prefill: the cycles of a prompt of {study.prompt} tokens, to the first token. Decode: those of a token, the mean of the "
        f"{study.decoded} behind the prompt.\n"
        "- Chunk: tokens for which weights are streamed once, the compiler's choice by what the SRAM holds.\n"
        "- x floor: cycles divided by those no schedule of the same work can undercut: DRAM traffic at the bandwidth that refresh leaves, "
        "multiply-accumulates at full rate, or vector elements at full rate, whichever takes longest. Bound: which it is; latency where "
        "none takes half of the time.\n\n"
        f"{HEADER}{table}"
        f"\n## Below {EXPLAINED:.0%} of the bound\n\n"
        "What the engine of the bound did (engines: docs/timing.md). Where its busy time is longer than its work at full rate, "
        "the rest goes into edges of tiles, ports, and filling.\n\n"
        f"{reasons or 'Nothing.' + chr(10)}" + (f"\n## Not measured\n\n{missing}" if missing else "")
    )


def line_of(machine: str, row: Row) -> Iterator[str]:
    """The line of a model that was measured."""
    if row.prefill is None or row.decode is None:
        return
    phases = [f"{p.cycles:,.0f} | {p.ratio_to_floor:.2f} | {p.bound}" for p in (row.prefill, row.decode)]
    yield f"| `{machine}` | {row.name} | {row.chunk} | {' | '.join(phases)} |\n"


def reasons_of(machine: str, row: Row) -> Iterator[str]:
    """A line for each phase that is far from its bound."""
    phases: tuple[tuple[str, Phase | None], ...] = (("prefill", row.prefill), ("decode", row.decode))
    for name, phase in phases:
        if phase is not None and phase.reason is not None:
            yield f"- `{machine}`, {row.name}, {name} ({1 / phase.ratio_to_floor:.0%}): {phase.reason}.\n"
