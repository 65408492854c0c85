"""An evaluation as a table: for the terminal, and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from simulator.report.render import quantity
from slmc.evaluation.rows import Accuracy, Evaluation, LayerError, Row
from slmc.survey_page import markdown
from slmc.tables import table_of

COLUMNS = (
    "scheme",
    "perplexity",
    "increase",
    "KL (nats)",
    "top-1",
    "worst layers (%)",
    "weights",
    "tokens/s",
    "J/token",
)
NUMBERS = frozenset(COLUMNS) - {"scheme", "worst layers (%)"}
BLANK = "-"
MEANINGS: tuple[str, ...] = (
    "Increase: of the perplexity over the reference's. KL: mean divergence of the next token's distribution from the reference's. "
    "Top-1: how often both find the same token most probable.",
    "Worst layers: number of the layer, relative error of the residual stream behind it in percent; "
    "none if the weights were rotated, and the stream with them.",
    "Weights: bytes of the program. Tokens/s and J/token: of the simulated machine, decoding.",
)


def cells_of(row: Row) -> tuple[str, ...]:
    """The columns of a row; what is missing is a dash."""
    accuracy, cost = row.accuracy, row.cost
    return (
        row.name,
        *(accuracy_cells(accuracy) if accuracy is not None else (BLANK,) * 5),
        quantity(cost.weight_bytes if cost else None, "B"),
        f"{cost.decode.tokens_per_second:,.1f}" if cost else BLANK,
        quantity(cost.decode.joules_per_token if cost else None, "J"),
    )


def accuracy_cells(accuracy: Accuracy) -> tuple[str, ...]:
    """Perplexity, its increase, KL divergence, agreement, worst layers. A mean over NaN is told as such, not hidden."""
    unknown = "NaN" if accuracy.invalid else "inf"
    no_kl = BLANK if accuracy.top1 is None else unknown
    return (
        unknown if accuracy.perplexity is None else f"{accuracy.perplexity:.5f}",
        BLANK if accuracy.perplexity_increase is None else f"{100 * accuracy.perplexity_increase:+.3f} %",
        no_kl if accuracy.kl is None else f"{accuracy.kl:.2e}" if accuracy.kl else "0",
        BLANK if accuracy.top1 is None else f"{100 * accuracy.top1:.2f} %",
        layers_text(accuracy),
    )


def layers_text(accuracy: Accuracy) -> str:
    """The worst layers; none where the residual stream is another one than the reference's."""
    if accuracy.is_other_stream:
        return "other stream"
    return ", ".join(layer_text(each, accuracy.layers) for each in accuracy.worst_layers) or BLANK


def layer_text(each: LayerError, layers: Sequence[LayerError]) -> str:
    """`3: 1.2`, in percent; with the group's name where there are several groups."""
    group = f"{each.group} " if len({layer.group for layer in layers}) > 1 else ""
    return f"{group}{each.layer}: " + ("NaN" if each.error is None else f"{100 * each.error:.2g}")


def show_evaluation(evaluation: Evaluation, console: Console) -> None:
    """What was evaluated, the table, then notes and what failed."""
    console.print(escape(headline(evaluation)))
    columns = tuple(f"{name}#" if name in NUMBERS else name for name in COLUMNS)
    console.print(table_of("", columns, [cells_of(row) for row in evaluation.rows]))
    for row in evaluation.rows:
        for note in row.notes:
            console.print(f"note: {escape(row.name)}: {escape(note)}")
    for note in evaluation.notes:
        console.print(f"note: {escape(note)}")
    for row in evaluation.failed:
        console.print(f"[bold]{escape(row.name)}[/]: {escape(row.error or '')}")


def headline(evaluation: Evaluation) -> str:
    used = evaluation.windows * (evaluation.window - 1)
    windows = "1 window" if evaluation.windows == 1 else f"{evaluation.windows:,} windows"
    return (
        f"{evaluation.source} on {evaluation.machine}: {used:,} predicted tokens of {evaluation.text} "
        f"in {windows} of {evaluation.window:,}"
    )


def page_of(evaluation: Evaluation, command: str, plot: Path | None = None) -> str:
    """The evaluation as a page in Markdown; `command` is what made it, `plot` the picture beside the page."""
    header = "| " + " | ".join(COLUMNS) + " |\n|" + "|".join("---:" if c in NUMBERS else "---" for c in COLUMNS) + "|\n"
    table = "".join("| " + " | ".join(map(markdown, cells_of(row))) + " |\n" for row in evaluation.rows)
    notes = [f"{row.name}: {note}" for row in evaluation.rows for note in row.notes] + list(evaluation.notes)
    failed = "".join(f"- {markdown(row.name)}: {markdown(row.error or '')}\n" for row in evaluation.failed)
    timed = next((row.cost for row in evaluation.rows if row.cost is not None), None)
    meanings = list(MEANINGS)
    if timed is not None:
        meanings.append(f"Timed: {timed.decoded} tokens behind a prompt of {timed.prompt}, context {timed.context:,}.")
    return (
        f"# What number formats cost: {markdown(evaluation.source)}\n\n"
        f"{markdown(headline(evaluation))}. Made by\n\n    {command}\n\n"
        + "".join(f"- {line}\n" for line in meanings)
        + "".join(f"- {markdown(note)}.\n" for note in notes)
        + f"\n{header}{table}"
        + (f"\n![accuracy against energy and speed]({markdown(plot.as_posix())})\n" if plot is not None else "")
        + (f"\n## What failed\n\n{failed}" if failed else "")
    )
