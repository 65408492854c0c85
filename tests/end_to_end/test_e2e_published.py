"""The fp32 binary against the published implementation: the same greedy tokens, and logits within 2e-4 at every position."""

from __future__ import annotations

import numpy as np
import pytest

from frontends import load_program
from isa.abi import RunFlag
from simulator.session import Session
from tests.end_to_end.e2e_support import PUBLISHED, build, options

TOLERANCE = 2e-4
CONTEXT = 512
ELSEWHERE = {"phi3_crossing", "phi4_mini_crossing"}  # test_e2e_longrope.py
VARIANTS = sorted({folder.parent.name for folder in PUBLISHED.glob("*/golden.npz")} - ELSEWHERE)


def test_the_golden_vectors_are_there() -> None:
    assert len(VARIANTS) >= 16


CHOSEN_BY_THE_COMPILER = ("biases", "long_prompt", "mqa", "odd_sizes")


@pytest.mark.parametrize("machine", ["edge", "tiny"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_binary_repeats_the_published_model(variant: str, machine: str) -> None:
    """On tiny, most variants are given a chunk: the search for the largest that fits takes longer than all the rest."""
    check(variant, machine, 0 if machine == "edge" or variant in CHOSEN_BY_THE_COMPILER else 6)


@pytest.mark.long
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - set(CHOSEN_BY_THE_COMPILER)))
def test_tiny_binary_with_the_compilers_plan(variant: str) -> None:
    check(variant, "tiny", 0)


def check(variant: str, machine: str, chunk: int) -> None:
    program = load_program(PUBLISHED / variant)
    executable = build(program, options(machine, "fp32", min(CONTEXT, program.max_positions or CONTEXT), chunk))
    golden = np.load(PUBLISHED / variant / "golden.npz")
    prompt, greedy = golden["tokens"].tolist(), golden["greedy"].tolist()
    session = Session(executable, check_uninitialised=True)
    assert list(session.generate(prompt, len(greedy), dump=RunFlag.DUMP_ALL)) == greedy
    expected = np.concatenate([golden["logits"], golden["greedy_logits"][1:]])
    assert session.logits().shape == expected.shape
    np.testing.assert_allclose(session.logits(), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("variant", ["gqa", "odd_sizes"])
def test_sampled_rows_are_those_behind_the_tokens(variant: str) -> None:
    executable = build(load_program(PUBLISHED / variant), options("edge", "fp32", CONTEXT))
    golden = np.load(PUBLISHED / variant / "golden.npz")
    session = Session(executable)
    tokens = list(session.generate(golden["tokens"].tolist(), 16, dump=RunFlag.DUMP_SAMPLED))
    assert tokens == golden["greedy"].tolist()
    np.testing.assert_allclose(session.logits(), golden["greedy_logits"], rtol=0, atol=TOLERANCE)
