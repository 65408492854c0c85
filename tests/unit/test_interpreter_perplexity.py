"""Perplexity by its protocol, on logits whose loss is known."""

import math

import numpy as np
import pytest

from tests.unit.windowed_perplexity import losses, perplexity


def test_windows_do_not_overlap_and_the_first_token_is_not_predicted():
    calls = []

    def logits_fn(tokens):
        calls.append(list(tokens))
        return np.zeros((len(tokens), 8), np.float32)

    result = perplexity(logits_fn, list(range(8)) * 2 + [1], window=5)
    assert calls == [[0, 1, 2, 3, 4], [5, 6, 7, 0, 1], [2, 3, 4, 5, 6]]
    assert (result.windows, result.predicted) == (3, 12)
    assert result.value == pytest.approx(8, rel=1e-12)
    assert result.nll_mean == pytest.approx(math.log(8), rel=1e-12)


def test_a_row_predicts_the_next_token():
    def shift(tokens):
        logits = np.zeros((len(tokens), 8), np.float32)
        logits[np.arange(len(tokens)), (np.array(tokens) + 1) % 8] = 20
        return logits

    assert perplexity(shift, list(range(8)), window=4).value == pytest.approx(1, abs=1e-6)


def test_losses_are_minus_log_softmax_and_do_not_overflow():
    logits = np.array([[1, 2, 3], [1e30, 0, -1e30]], np.float32)
    expected = math.log(math.exp(1) + math.exp(2) + math.exp(3)) - 2
    np.testing.assert_allclose(losses(logits, [1, 0]), [expected, 0], rtol=1e-12)


@pytest.mark.parametrize("window", [0, 1, 5])
def test_too_short_sequences_are_errors(window):
    with pytest.raises(ValueError, match="window"):
        perplexity(lambda tokens: np.zeros((len(tokens), 4), np.float32), [0, 1, 2], window)
