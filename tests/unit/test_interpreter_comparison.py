"""Loss, divergence and agreement against the formulas in plain Python, number by number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.interpreters import comparison
from compiler.interpreters.comparison import Comparison


def log_softmax(row: Sequence[float]) -> list[float]:
    top = max(row)
    total = math.fsum(math.exp(value - top) for value in row)
    return [value - top - math.log(total) for value in row]


def expected(logits: np.ndarray, targets: Sequence[int], reference: np.ndarray) -> tuple[float, float, float]:
    """Mean loss, mean divergence, agreement."""
    losses, divergences, same = [], [], 0
    for row, target, other in zip(logits.tolist(), targets, reference.tolist(), strict=True):
        q, p = log_softmax(row), log_softmax(other)
        losses.append(-q[target])
        divergences.append(math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q, strict=True)))
        same += row.index(max(row)) == other.index(max(other))
    count = len(losses)
    return math.fsum(losses) / count, math.fsum(divergences) / count, same / count


ROWS = st.integers(1, 9).flatmap(
    lambda vocabulary: st.lists(
        st.tuples(
            st.lists(st.floats(-30, 30, width=32), min_size=vocabulary, max_size=vocabulary),
            st.lists(st.floats(-30, 30, width=32), min_size=vocabulary, max_size=vocabulary),
            st.integers(0, vocabulary - 1),
        ),
        min_size=1,
        max_size=6,
    )
)


@given(ROWS, st.integers(1, 20))
def test_the_means_are_the_formulas(rows: list[tuple[list[float], list[float], int]], block: int) -> None:
    logits, reference = (np.array([row[part] for row in rows], np.float32) for part in (0, 1))
    targets = [row[2] for row in rows]
    sums = Comparison()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "BLOCK_ELEMENTS", block)
        sums.add(logits[:1], targets[:1], reference[:1])
        if len(rows) > 1:
            sums.add(logits[1:], targets[1:], reference[1:])
    loss, divergence, agreement = expected(logits, targets, reference)
    assert sums.nll_mean == pytest.approx(loss, rel=1e-12, abs=1e-12)
    assert sums.perplexity == pytest.approx(math.exp(loss), rel=1e-11)
    assert sums.kl_mean == pytest.approx(divergence, rel=1e-11, abs=1e-12)
    assert sums.kl_mean >= -1e-12
    assert sums.top1_agreement == agreement
    assert (sums.predicted, sums.compared, sums.invalid) == (len(rows), len(rows), 0)


def test_a_divergence_worked_out_by_hand() -> None:
    half = math.log(0.5)
    reference = np.array([[half, half, -math.inf]], np.float32)
    logits = np.log(np.array([[0.25, 0.25, 0.5]], np.float32))
    sums = Comparison()
    sums.add(logits, [0], reference)
    assert sums.kl_mean == pytest.approx(math.log(2), rel=1e-6)
    assert sums.perplexity == pytest.approx(4, rel=1e-6)
    assert sums.top1_agreement == 0


def test_a_probability_of_zero_costs_infinitely_much() -> None:
    sums = Comparison()
    sums.add(np.array([[0, -np.inf]], np.float32), [1], np.zeros((1, 2), np.float32))
    assert (sums.perplexity, sums.kl_mean, sums.invalid) == (math.inf, math.inf, 0)


@pytest.mark.parametrize("row", [[0, math.nan], [0, math.inf], [-math.inf, -math.inf]])
def test_logits_that_are_no_distribution_are_counted_and_spoil_the_means(row: list[float]) -> None:
    sums = Comparison()
    sums.add(np.array([[0, 1], row], np.float32), [0, 0], np.array([[0, 1], row], np.float32))
    assert (sums.predicted, sums.invalid) == (2, 1)
    assert math.isnan(sums.perplexity) and math.isnan(sums.kl_mean)
    assert sums.top1_agreement == 0.5


def test_a_reference_that_is_no_distribution_agrees_with_nothing() -> None:
    sums = Comparison()
    sums.add(np.array([[0, 1]], np.float32), [0], np.array([[0, math.nan]], np.float32))
    assert (sums.invalid, sums.agreed) == (0, 0)
    assert math.isnan(sums.kl_mean) and math.isfinite(sums.perplexity)


def test_huge_logits_do_not_overflow() -> None:
    sums = Comparison()
    sums.add(np.array([[3e38, -3e38]], np.float32), [1])
    assert sums.nll_mean == pytest.approx(6e38, rel=1e-6)
    assert sums.perplexity == math.inf


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="for 1 targets"):
        Comparison().add(np.zeros((2, 3), np.float32), [0])
    with pytest.raises(ValueError, match=r"against \(2, 4\)"):
        Comparison().add(np.zeros((2, 3), np.float32), [0, 0], np.zeros((2, 4), np.float32))
