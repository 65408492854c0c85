"""The rows of an evaluation, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from compiler.interpreters.comparison import Comparison
from compiler.interpreters.residuals import LayerErrors
from slmc.errors import headline_of
from slmc.evaluation.costs import Cost
from slmc.evaluation.rows import Accuracy, LayerError, Row, finite
from slmc.evaluation.runs import Reference, Run
from slmc.evaluation.windows import Windows
from slmc.progress import steps

REFERENCE_NAME = "fp32 (reference)"
OTHER_STREAM = "errors above 100 % behind every layer: the residual stream is not the reference's, as in a model with rotated weights"
Tell = Callable[[Row], object]
T = TypeVar("T")


class Measuring:
    """Collects rows. The last token of a window is only predicted: a run sees those before it."""

    def __init__(self, reference: Reference | None, windows: Windows, tell: Tell | None = None):
        self.reference, self.windows, self.tell = reference, windows, tell
        self.rows: list[Row] = []
        self._reference_perplexity: float | None = None

    def measure_reference(self, cost: Callable[[], Cost]) -> None:
        """The first row. Raises what running the reference raises: nothing can be compared then."""
        assert self.reference is not None, "there is a reference"
        accuracy = self._accuracy(REFERENCE_NAME, self.reference)
        self._reference_perplexity = accuracy.perplexity
        increase = None if accuracy.perplexity is None else 0.0
        found, error = _tried(cost)
        self._add(REFERENCE_NAME, replace(accuracy, perplexity_increase=increase), found, error, is_reference=True)

    def measure(self, name: str, run: Callable[[], Run], cost: Callable[[], Cost]) -> None:
        """A row; what fails is said in it, and the other part is still of interest."""
        accuracy, failed = _tried(lambda: self._accuracy(name, run()))
        before = self._reference_perplexity
        if accuracy is not None and accuracy.perplexity is not None and before is not None:
            accuracy = replace(accuracy, perplexity_increase=accuracy.perplexity / before - 1)
        found, error = _tried(cost)
        self._add(name, accuracy, found, failed or error)

    def _accuracy(self, name: str, run: Run) -> Accuracy:
        """Runs all windows and reduces them one by one."""
        sums, layers, parts = Comparison(), LayerErrors(), self.windows.parts
        with steps() as progress:
            progress.say(f"evaluate {name}: {len(parts)} windows of {self.windows.size} tokens")
            for number, part in enumerate(parts):
                progress.count(number, len(parts))
                found = run.outputs(part[:-1])
                if self.reference is None:
                    sums.add(found.logits, part[1:])
                    continue
                exact = self.reference.outputs(part[:-1])
                sums.add(found.logits, part[1:], exact.logits)
                if run is not self.reference:
                    layers.add(exact.residuals, found.residuals)
        has_reference = self.reference is not None
        return Accuracy(
            perplexity=finite(sums.perplexity),
            nll_mean=finite(sums.nll_mean),
            perplexity_increase=None,
            kl=finite(sums.kl_mean) if has_reference else None,
            top1=sums.top1_agreement if has_reference else None,
            predicted=sums.predicted,
            invalid=sums.invalid,
            layers=tuple(
                LayerError(group, layer, finite(error)) for (group, layer), error in layers.relative().items()
            ),
        )

    def _add(
        self, name: str, accuracy: Accuracy | None, cost: Cost | None, error: str | None, is_reference: bool = False
    ) -> None:
        notes: list[str] = []
        if accuracy is not None and accuracy.invalid:
            notes.append(f"{accuracy.invalid} of {accuracy.predicted} positions have NaN or infinite logits")
        elif accuracy is not None and (accuracy.perplexity is None or (self.reference and accuracy.kl is None)):
            notes.append("a token has probability 0, so a mean is infinite")
        if accuracy is not None and accuracy.is_other_stream:
            notes.append(OTHER_STREAM)
        if cost is not None and not cost.fits:
            notes.append("does not fit the machine's memory; timed as if there were enough")
        row = Row(name, is_reference, accuracy, cost, tuple(notes), error)
        self.rows.append(row)
        if self.tell is not None:
            self.tell(row)


def _tried(work: Callable[[], T]) -> tuple[T | None, str | None]:
    """What the work gives, or what went wrong."""
    try:
        return work(), None
    except Exception as error:  # the other rows are still of interest
        return None, headline_of(error)
