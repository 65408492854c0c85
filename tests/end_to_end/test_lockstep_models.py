"""Every model of the test suite in lockstep: the reference engine checks each instruction that the fast engine executes."""

from __future__ import annotations

from itertools import product

import pytest

from frontends import load_program
from simulator.fast.lockstep import LockstepEngine
from simulator.session import Session
from tests.end_to_end.e2e_support import PUBLISHED, build, options, prompt_of, vocabulary_of

VARIANTS = sorted(path.parent.name for path in PUBLISHED.glob("*/config.json"))
SCHEMES = ("fp32", "fp16", "bf16", "w8a8", "w8a8-kv8", "w8a8-kv4", "w8a16")
GROUPED_SCHEMES = ("w4a8-g32", "w4a16-g32", "mxfp8", "mxfp4", "w8a8-s24")
GROUPED_VARIANTS = (
    "bf16", "biases", "gpt_neox", "gpt_neox_sequential", "gqa", "head_dim", "linear_rope", "llama3_rope", "long_prompt",
    "mha", "sharded", "small_eps", "tied", "transformers5", "transformers5_llama3", "untied",
)  # fmt: skip
"""Those whose products all have multiples of 32 columns."""
CASES = [*product(VARIANTS, SCHEMES), *product(GROUPED_VARIANTS, GROUPED_SCHEMES)]
CONTEXT, PROMPT, NEW = 64, 40, 4


def check(variant: str, scheme: str, machine: str = "edge", threads: int = 1) -> None:
    """A prompt of several rows and some tokens; raises DivergenceError at the first difference."""
    executable = build(load_program(PUBLISHED / variant), options(machine, scheme, CONTEXT))
    session = Session(executable, check_every=1, threads=threads)
    assert len(list(session.generate(prompt_of(PROMPT, vocabulary_of(executable)), NEW))) == NEW
    assert isinstance(session.engine, LockstepEngine)
    checked = session.engine.checked
    assert sum(checked.values()) > 2000 and checked["mm"] + checked["mmg"] > 50


@pytest.mark.parametrize(("variant", "scheme"), [("gemma3", "w8a8"), ("mamba", "bf16")])
def test_models_do_not_diverge(variant: str, scheme: str) -> None:
    check(variant, scheme)


def test_a_model_does_not_diverge_with_threads() -> None:
    check("gqa", "w4a8-g32", threads=2)


@pytest.mark.long
@pytest.mark.parametrize(("variant", "scheme"), CASES)
def test_no_model_diverges(variant: str, scheme: str) -> None:
    check(variant, scheme)


@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
def test_no_model_diverges_on_a_small_machine(variant: str) -> None:
    check(variant, "w8a8", "tiny")
