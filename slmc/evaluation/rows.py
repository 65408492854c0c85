"""The numbers of an evaluation, and their JSON. docs/evaluation.md says what each means."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from slmc.evaluation.costs import Cost

SCHEMA = 1
WORST_LAYERS = 3


@dataclass(frozen=True, slots=True)
class LayerError:
    """Relative error of the residual stream behind a layer; None: not a finite number."""

    group: str
    layer: int
    error: float | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Means over the predicted positions. What is no finite number is None: `invalid` positions have logits with NaN.

    perplexity_increase is relative to the reference's; it, kl (nats), top1 and layers need a reference.
    """

    perplexity: float | None
    nll_mean: float | None
    perplexity_increase: float | None
    kl: float | None
    top1: float | None
    predicted: int
    invalid: int
    layers: tuple[LayerError, ...] = ()

    @property
    def worst_layers(self) -> list[LayerError]:
        """The layers with the largest errors, those that are no number first."""
        by_error = sorted(self.layers, key=lambda each: -math.inf if each.error is None else -each.error)
        return by_error[:WORST_LAYERS]

    @property
    def is_other_stream(self) -> bool:
        """Errors above 1 behind every layer: what the layers hand on is not what the reference's do, as with rotated weights."""
        return bool(self.layers) and all(each.error is not None and each.error > 1 for each in self.layers)


@dataclass(frozen=True, slots=True)
class Row:
    """One scheme, or the reference; `error` says why a part is missing."""

    name: str
    is_reference: bool = False
    accuracy: Accuracy | None = None
    cost: Cost | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """All rows, the reference first if there is one. tokens: of the text, windows * window of them are used."""

    source: str
    reference: str | None
    machine: str
    text: str
    tokens: int
    window: int
    windows: int
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.error is not None]

    def document(self) -> dict[str, Any]:
        """The evaluation as JSON: docs/evaluation.md."""
        return {"schema": SCHEMA, **asdict(self)}


def finite(value: float) -> float | None:
    """The value, None for NaN and infinities: JSON has none of them."""
    return value if math.isfinite(value) else None
