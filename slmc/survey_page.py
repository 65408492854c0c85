"""A survey as tables: for the terminal, and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from isa.machine import load_machine
from simulator.report.render import quantity
from slmc.survey import Phase, Row, Study
from slmc.tables import table_of

COLUMNS = (
    "model", "parameters", "weights", "memory", "fits", "program", "compile", "simulate",
    "prefill", "prefill tokens/s", "x floor", "of MACs", "predicted", "decode", "tokens/s", "J/token", "x floor", "predicted", "bound",
)  # fmt: skip
NUMBERS = frozenset(COLUMNS) - {"model", "fits", "bound"}
SHOWN = (0, 1, 2, 4, 5, 9, 14, 15, 16, 18)
"""Columns for the terminal."""
MILLION = 1_000_000


def cells_of(row: Row) -> tuple[str, ...]:
    """The columns of a model that was measured."""
    assert row.prefill is not None and row.decode is not None
    return (
        row.name,
        parameters_text(row),
        quantity(row.weight_bytes, "B"),
        quantity(row.dram_bytes, "B"),
        "yes" if row.fits else "no",
        quantity(row.text_bytes, "B"),
        quantity(row.compile_seconds, "s"),
        quantity(row.simulation_seconds, "s"),
        quantity(row.prefill.milliseconds / 1000, "s"),
        f"{row.prefill.tokens_per_second:,.1f}",
        f"{row.prefill.ratio_to_floor:.2f}",
        f"{row.mac_floor_share:.1%}",
        error_text(row.prefill),
        quantity(row.decode.milliseconds / 1000, "s"),
        f"{row.decode.tokens_per_second:,.2f}",
        quantity(row.decode.joules_per_token, "J"),
        f"{row.decode.ratio_to_floor:.2f}",
        error_text(row.decode),
        bound_text(row.prefill, row.decode),
    )


def parameters_text(row: Row) -> str:
    """Millions; those active per token in brackets if they differ."""
    total, active = row.parameters or 0, row.active_parameters or 0
    text = f"{total / MILLION:,.0f} M"
    return text if active == total else f"{text} ({active / MILLION:,.0f} M active)"


def error_text(phase: Phase) -> str:
    """How far the compiler's prediction was off, where there is one."""
    return "" if phase.prediction_error is None else f"{phase.prediction_error:+.1%}"


def bound_text(prefill: Phase, decode: Phase) -> str:
    """`memory`, or `compute, memory` where prefill and decode differ."""
    return decode.bound if prefill.bound == decode.bound else f"{prefill.bound}, {decode.bound}"


def show_survey(rows: Sequence[Row], console: Console, title: str = "") -> None:
    """The most telling columns of the measured models as a table, then what failed."""
    measured = [cells_of(row) for row in rows if row.error is None]
    if measured:
        columns = tuple(f"{COLUMNS[place]}#" if COLUMNS[place] in NUMBERS else COLUMNS[place] for place in SHOWN)
        console.print(table_of(title, columns, [tuple(cells[place] for place in SHOWN) for cells in measured]))
    for row in rows:
        if row.error is not None:
            console.print(f"[bold]{escape(row.name)}[/]: {escape(row.error)}")


def page_of(rows: Sequence[Row], study: Study, command: str) -> str:
    """The survey as a page in Markdown; `command` is what made it."""
    machine = load_machine(study.machine)
    header = "| " + " | ".join(COLUMNS) + " |\n|" + "|".join("---:" if c in NUMBERS else "---" for c in COLUMNS) + "|\n"
    table = "".join("| " + " | ".join(cells_of(row)) + " |\n" for row in rows if row.error is None)
    failed = [row for row in rows if row.error is not None]
    missing = "".join(f"- `{row.name}`: {markdown(row.error or '')}\n" for row in failed)
    assumed = sorted({note for row in rows for note in row.notes if not note.startswith("needs ")})
    return (
        f"# Models on the machine `{machine.name}`\n\n"
        f"Models in scheme `{study.scheme}` on `{machine.name}` ({machine.description}), timed without weights. Made by\n\n"
        f"    {command}\n\n"
        f"- Prefill: a prompt of {study.prompt} tokens, to the first token. Decode: the mean of the {study.decoded} tokens behind it, "
        f"so at positions from {study.prompt} on.\n"
        f"- The program has room for {study.context:,} positions, or for those the model has if that is less.\n"
        f"- Memory: weights, KV cache, tables. Where it does not fit the {quantity(machine.dram_capacity_bytes, 'B')} of the machine, "
        "the times are those of a machine of this kind with enough memory.\n"
        "- Program: the bytes of instructions. Compile and simulate: seconds on the computer that made this page; all other times are "
        "those of the simulated machine.\n"
        "- x floor: cycles divided by those no schedule of the same work can undercut. Bound: of prefill, decode, if they differ.\n"
        "- Of MACs: of prefill, the least cycles for its multiply-accumulates, causal, heads padded to the array, by all cycles.\n"
        "- Predicted: how far the compiler's prediction was off, predicted / simulated - 1 (docs/prediction.md).\n"
        + "".join(f"- {markdown(note[0].upper() + note[1:])}.\n" for note in assumed)
        + f"\n{header}{table}"
        + (f"\n## Not measured\n\n{missing}" if failed else "")
    )


def markdown(text: str) -> str:
    """Foreign text inside of a line of Markdown."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#" else character for character in text)
