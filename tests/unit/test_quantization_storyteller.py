"""Methods on a model that was trained: what its perplexity becomes, by the float interpreter on the stored weights.

Calibration takes the first 512 tokens of heldout.txt; the windows that are evaluated come later.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from compiler.program import Program
from frontends import load_program
from frontends.tokenizer import TextTokenizer
from slmc.building import Checkpoint
from slmc.quantizing import Request, quantize_checkpoint
from tests.unit.quantization_support import STORYTELLER
from tests.unit.windowed_perplexity import perplexity

TEXT = STORYTELLER / "heldout.txt"
WINDOW, FIRST_WINDOW = 512, 20


@cache
def tokens() -> list[int]:
    content = (STORYTELLER / "tokenizer.json").read_bytes()
    return TextTokenizer(content).encode(TEXT.read_text(encoding="utf-8"))


def evaluated(program: Program, windows: int) -> float:
    part = tokens()[FIRST_WINDOW * WINDOW : (FIRST_WINDOW + windows) * WINDOW]
    return perplexity(lambda window: interpret_slm(program, window, np.float32), part, WINDOW).value


@pytest.fixture
def perplexity_of(tmp_path: Path) -> Callable[..., float]:
    def measure(scheme: str, method: str, windows: int, text: Path | None = TEXT) -> float:
        out = tmp_path / f"{scheme} {method} {text is None}"
        quantize_checkpoint(Checkpoint(STORYTELLER), Request(scheme, method, text), out)
        return evaluated(load_program(out), windows)

    return measure


def test_gptq_is_nearer_to_the_model_than_round_to_nearest(tmp_path: Path) -> None:
    """By the mean divergence of the predicted distributions, which needs far less text than the perplexity to tell methods apart."""
    window = tokens()[FIRST_WINDOW * WINDOW :][:WINDOW]
    expected = log_probabilities(load_program(STORYTELLER), window)
    divergence: dict[str, float] = {}
    for method in ("rtn", "gptq"):
        quantize_checkpoint(Checkpoint(STORYTELLER), Request("w4a8", method, TEXT), tmp_path / method)
        found = log_probabilities(load_program(tmp_path / method), window)
        divergence[method] = float((np.exp(expected) * (expected - found)).sum(axis=1).mean())
    assert 0 < divergence["gptq"] < 0.9 * divergence["rtn"] < 0.02


def log_probabilities(program: Program, window: list[int]) -> np.ndarray:
    logits = interpret_slm(program, window, np.float32).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.long
def test_methods_at_four_bits(perplexity_of: Callable[..., float]) -> None:
    windows = 12
    reference = evaluated(load_program(STORYTELLER), windows)
    found = {
        m: perplexity_of("w4a8", m, windows) for m in ("rtn", "awq", "gptq", "gptq-act-order", "awq+gptq", "rotate")
    }
    for method in ("awq", "gptq", "gptq-act-order", "awq+gptq"):
        assert found[method] <= found["rtn"], found
    assert max(found.values()) < 1.01 * reference, found


@pytest.mark.long
def test_methods_with_half_of_the_weights(perplexity_of: Callable[..., float]) -> None:
    found = {m: perplexity_of("w8a8-s24", m, 6) for m in ("magnitude", "wanda", "wanda+gptq")}
    assert found["wanda+gptq"] < found["wanda"] < found["magnitude"], found


@pytest.mark.long
def test_the_text_of_the_model_itself_serves_as_well(perplexity_of: Callable[..., float]) -> None:
    nearest = perplexity_of("w4a8", "rtn", 6)
    assert perplexity_of("w4a8", "gptq", 6, text=None) <= nearest
