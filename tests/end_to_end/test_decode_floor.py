"""Decoding is bound by DRAM: a token takes hardly longer than its bytes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from frontends import Virtual
from isa.container import Executable
from slmc.building import Checkpoint, Target, build
from slmc.session import Session

CONFIGS = Path(__file__).parents[2] / "examples" / "configs"
MOST = 1.05
POSITION, TOKENS = 512, 2
QUICK = ("smollm2-135m",)
"""Of small layers the latencies weigh most."""


def timed(name: str, scheme: str, tokens: int, machine: str = "edge", **overrides: str) -> Session:
    """A session that has decoded some tokens, without values."""
    program = Checkpoint(CONFIGS / f"{name}.json", overrides=overrides, virtual=Virtual.ALWAYS).load()
    options = Target(machine, scheme, min(1024, program.max_positions or 1024), allow_oversize=True).options(program)
    with tempfile.TemporaryDirectory() as folder:
        build(program, options, Path(folder) / "model.slx")
        executable = Executable.open(Path(folder) / "model.slx")
    session = Session(executable, timing_only=True, position=POSITION)
    list(session.generate([0], tokens))
    return session


def ratio_of(name: str, scheme: str, machine: str = "edge", **overrides: str) -> float:
    """Cycles of decoding over the floor."""
    ratio = timed(name, scheme, TOKENS, machine, **overrides).report().decode.ratio_to_floor
    assert ratio is not None
    return ratio


@pytest.mark.parametrize(
    ("name", "scheme", "most"),
    [
        ("smollm2-135m", "w8a8", 8_000),
        pytest.param("tinyllama-1.1b", "w8a8", 15_000, marks=pytest.mark.long),
        pytest.param("tinyllama-1.1b", "w4a8-g32", 15_000, marks=pytest.mark.long),
        pytest.param("gemma-3-1b", "w4a8-g32", 15_000, marks=pytest.mark.long),
    ],
)
def test_a_token_has_few_instructions_of_engines(name: str, scheme: str, most: int) -> None:
    """A strip is a load and a product; what is behind products is done once for a row."""
    clock = timed(name, scheme, 1).device.clock
    assert clock is not None
    per_pc = clock.records().per_pc.values()
    assert 0 < sum(profile.executions for profile in per_pc) <= most


@pytest.mark.parametrize("scheme", ["w8a8", "w4a8"])
@pytest.mark.parametrize("name", QUICK)
def test_small_models(name: str, scheme: str) -> None:
    assert 1 <= ratio_of(name, scheme) <= MOST


@pytest.mark.parametrize("name", ["tinyllama-1.1b", "lfm2-1.2b"])
def test_little_memory(name: str) -> None:
    """In 64 KiB a row of weights is several strips, and there is no room for those of the next group: large strips are worth more."""
    assert 1 <= ratio_of(name, "w8a8", "tiny", num_hidden_layers="3") <= MOST


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["w8a8", "w4a8"])
@pytest.mark.parametrize(
    "name",
    ["gpt2", "mobilellm-125m", "mobilellm-1b", "phi-1_5", "stablelm-2-1_6b", "gemma-3-1b", "lfm2-1.2b", "qwen3-0.6b"],
)
def test_models(name: str, scheme: str) -> None:
    assert 1 <= ratio_of(name, scheme) <= MOST
