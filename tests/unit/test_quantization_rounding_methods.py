"""GPTQ, the limits of AWQ, and pruning, on single matrices: against the papers' formulas written out, and against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.quantization.job import Task
from compiler.quantization.methods import METHODS, Chain, round_to_nearest
from compiler.quantization.methods.awq import round_clipped
from compiler.quantization.methods.gptq import round_gptq, round_ordered
from compiler.quantization.methods.pruning import wanda
from compiler.quantization.rounding import kept_mask
from tests.unit.quantization_support import rounded_by_hand


def task(rows: int, columns: int, form: str, seed: int, tokens: int = 200) -> Task:
    """A matrix, and inputs that go along with each other and differ in size, as inputs of language models do."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((columns, columns)) * 0.4 + np.eye(columns)
    inputs = rng.standard_normal((tokens, columns)) @ mixing * np.exp(rng.standard_normal(columns))
    matrix = rng.standard_normal((rows, columns)).astype(np.float32)
    return Task("w", matrix, WeightFormat.of(form), inputs.astype(np.float32))


def output_error(t: Task, values: np.ndarray) -> float:
    return float((((values - t.matrix).astype(np.float64) @ t.inputs.T.astype(np.float64)) ** 2).sum())


def optimal_brain(t: Task, order: list[int]) -> np.ndarray:
    """Optimal Brain Quantizer in a fixed order, row by row, each step from the inverse of the Hessian of the columns that are left:
    Frantar & Alistarh 2022, equation 7. Scales are those of the row before the first step."""
    hessian = t.inputs.T.astype(np.float64) @ t.inputs.astype(np.float64)
    hessian += np.eye(len(hessian)) * 0.01 * np.diag(hessian).mean()
    result = np.zeros(t.matrix.shape, int)
    for row in range(len(t.matrix)):
        weights = t.matrix[row].astype(np.float64)
        scale = float(np.float32(np.abs(t.matrix[row]).max() * np.float32(1 / 127)))
        for step, column in enumerate(order):
            left = order[step:]
            inverse = np.linalg.inv(hessian[np.ix_(left, left)])
            level = min(max(round(weights[column] / scale), -127), 127)
            error = weights[column] - level * scale
            weights[left] -= error / inverse[0, 0] * inverse[:, 0]
            result[row, column] = level
    return result


@pytest.mark.parametrize("seed", range(4))
def test_gptq_is_the_optimal_brain_quantizer_column_by_column(seed: int) -> None:
    t = task(5, 24, "i8", seed)
    q = round_gptq(t).q
    expected = optimal_brain(t, list(range(24)))
    assert np.abs(q - expected).max() <= 1  # a tie may fall to either side between float32 and float64
    assert (q != expected).mean() < 0.02


def test_gptq_with_act_order_takes_the_largest_inputs_first() -> None:
    t = task(5, 24, "i8", 7)
    order = np.argsort(-(t.inputs.astype(np.float64) ** 2).sum(axis=0), kind="stable").tolist()
    q = round_ordered(t).q
    assert order != list(range(24))
    assert (q != optimal_brain(t, order)).mean() < 0.02


def test_gptq_lies_between_the_optimum_and_round_to_nearest() -> None:
    """The optimum over all ways to round each of 7 weights down, to nearest or up; in the sum over 30 problems."""
    sums = np.zeros(3)
    for seed in range(30):
        t = task(1, 7, "i8", 100 + seed)
        nearest, gptq = round_to_nearest(t), round_gptq(t)
        steps = np.array(list(product((-1, 0, 1), repeat=7)))
        levels = np.clip(nearest.q.astype(int) + steps, -127, 127)
        differences = levels * float(nearest.scales[0]) - t.matrix.astype(np.float64)
        best = ((differences @ t.inputs.T.astype(np.float64)) ** 2).sum(axis=1).min()
        found = output_error(t, gptq.values())
        sums += best, found, output_error(t, nearest.values())
        if np.abs(gptq.q.astype(int) - nearest.q).max() <= 1:
            assert best <= found * (1 + 1e-3)  # values of weights are float32, what is left of them cancels
    assert sums[0] < sums[1] < 0.8 * sums[2]


@pytest.mark.parametrize(
    "form", ["i4-g32", "i4-g64", "i4-g64-zp", "i8-g32", "i8", "i4-g32-s24", "i8-s24", "e2m1-g32", "e4m3-g32"]
)
@pytest.mark.parametrize("rounder", [round_gptq, round_ordered])
def test_gptq_is_better_than_round_to_nearest_in_every_format(form: str, rounder) -> None:
    t = task(24, 192, form, 3)
    if t.form.sparse:
        t = Task(t.name, t.matrix, t.form, t.inputs, kept_mask(np.abs(t.matrix)))
    result = rounder(t)
    assert output_error(t, result.values()) < output_error(t, round_to_nearest(t).values())
    assert result.format == t.form
    if t.form.is_microscaled:
        assert result.is_finite() and result.scales.dtype == np.uint8
    else:
        assert np.abs(result.q.astype(int)).max() <= (127 if t.form.element == "i8" else 8)
    if t.kept is not None:
        assert not result.q[~t.kept].any()


def test_gptq_leaves_columns_without_inputs_to_round_to_nearest() -> None:
    t = task(6, 32, "i8", 1)
    t.inputs[:, [3, 17]] = 0
    assert np.array_equal(round_gptq(t).q[:, [3, 17]], round_to_nearest(t).q[:, [3, 17]])


def test_gptq_of_inputs_that_do_not_depend_on_each_other_is_round_to_nearest() -> None:
    t = task(6, 32, "i8", 1)
    alone = Task(t.name, t.matrix, t.form, np.eye(32, dtype=np.float32))
    assert np.array_equal(round_gptq(alone).q, round_to_nearest(alone).q)


def test_gptq_of_inputs_that_are_not_finite() -> None:
    t = task(2, 8, "i8", 1)
    t.inputs[0, 0] = np.inf
    with pytest.raises(CompileError, match='inputs of weight "w" that are not finite'):
        round_gptq(t)


def test_limits_of_groups_are_the_best_of_the_grid() -> None:
    """Every group of every row by itself, against all shares of the grid."""
    t = task(4, 64, "i4-g32", 5, tokens=100)
    found = round_clipped(t).values()
    for row in range(4):
        for first in (0, 32):
            columns = slice(first, first + 32)
            weights = t.matrix[row : row + 1, columns]
            limits = [np.float32(1 - 0.05 * step) * np.abs(weights).max() for step in range(10)]
            tried = [rounded_by_hand(np.clip(weights, -limit, limit), t.form) for limit in limits]
            errors = [(((values - weights) @ t.inputs[:, columns].T) ** 2).sum() for values in tried]
            error = (((found[row, columns] - weights) @ t.inputs[:, columns].T) ** 2).sum()
            assert error == pytest.approx(min(errors), rel=1e-4)
            assert error <= errors[0] * (1 + 1e-6)


@pytest.mark.parametrize("form", ["i4-g32-zp", "i4-g32-s24"])
def test_limits_of_groups_with_offsets_or_sparsity_are_no_worse(form: str) -> None:
    t = task(8, 96, form, 5)
    if t.form.sparse:
        t = Task(t.name, t.matrix, t.form, t.inputs, kept_mask(np.abs(t.matrix)))
    nearest, limited = round_to_nearest(t).values(), round_clipped(t).values()
    target = t.matrix if t.kept is None else np.where(t.kept, t.matrix, 0)
    for first in range(0, 96, 32):
        part = slice(first, first + 32)
        errors = [
            (((values - target)[:, part] @ t.inputs[:, part].T) ** 2).sum(axis=1) for values in (limited, nearest)
        ]
        assert (errors[0] <= errors[1] * (1 + 1e-5)).all()


def test_wanda_keeps_the_two_of_four_of_the_formula() -> None:
    t = task(6, 32, "i8-s24", 9)
    kept = kept_mask(wanda(t.matrix, t.inputs))
    norms = [sum(float(x) ** 2 for x in column) ** 0.5 for column in t.inputs.T]
    for row in range(6):
        for first in range(0, 32, 4):
            importance = {k: abs(float(t.matrix[row, k])) * norms[k] for k in range(first, first + 4)}
            best = set(sorted(importance, key=lambda k: importance[k])[2:])
            assert {k for k in importance if kept[row, k]} == best
    assert not np.array_equal(kept, kept_mask(np.abs(t.matrix)))


def test_wanda_makes_less_error_than_magnitude() -> None:
    t = task(16, 64, "i8-s24", 2)
    errors = [
        output_error(t, np.where(kept_mask(importance), t.matrix, 0))
        for importance in (wanda(t.matrix, t.inputs), np.abs(t.matrix))
    ]
    assert errors[0] < errors[1]


def test_equal_weights_keep_the_first_two() -> None:
    assert kept_mask(np.ones((1, 8), np.float32)).tolist() == [[True, True, False, False] * 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'unknown method ""'),
        ("rtn+magic", 'unknown method "magic"'),
        ("awq+awq", 'method "awq[+]awq" has a name twice'),
        ("wanda+magnitude", "a model is pruned once: wanda and magnitude exclude each other"),
        ("rtn+gptq", "a matrix is rounded once: rtn and gptq exclude each other"),
    ],
)
def test_chains_that_make_no_sense(text: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        Chain.of(text)


def test_what_a_chain_rounds_with() -> None:
    assert Chain.of("awq").rounding is METHODS["awq"]
    assert Chain.of("awq+gptq").rounding is METHODS["gptq"]
    assert Chain.of("gptq+awq").rounding is METHODS["gptq"]
    assert Chain.of("rotate+kv").rounding is METHODS["rtn"]
    assert not Chain.of("rotate+magnitude").needs_tokens
    assert Chain.of("wanda").needs_tokens
