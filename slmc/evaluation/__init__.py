"""How much accuracy a number format costs, and what it saves: `slmc evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slmc.building import Checkpoint
from slmc.evaluation.costs import Timed
from slmc.evaluation.evaluating import Asked, evaluate_rows
from slmc.evaluation.rows import Evaluation

__all__ = ["Evaluation", "evaluate"]


def evaluate(
    path: str | Path,
    text: str | Path,
    schemes: Sequence[str] = (),
    machine: str | None = None,
    *,
    reference: str | Path | None = None,
    tokens: int | None = None,
    window: int | None = None,
    random_seed: int | None = None,
) -> Evaluation:
    """Accuracy and cost of a checkpoint in several schemes, or of an executable (which has one: give no others).

    `text`: a str is the text itself, a Path a UTF-8 file. `reference`: the fp32 checkpoint to compare with, by default
    `path` itself. `tokens`: use at most so many; `window`: tokens that the model sees at once. The numbers are those of
    `slmc evaluate --json`, docs/evaluation.md. Raises FrontendError, CommandError, CompileError, MachineError; what fails
    for one scheme is the `error` of its row.
    """
    asked = Asked(tuple(schemes), machine, None if reference is None else Path(reference), tokens, window, Timed())
    return evaluate_rows(Checkpoint(Path(path), random_seed), text, asked)
