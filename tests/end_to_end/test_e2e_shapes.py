"""Random tiny models x schemes x machines x prompts: simulator bits = slmq interpreter bits, also with a ring cache that has wrapped."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from compiler.driver import Options
from compiler.errors import CompileError
from tests.end_to_end.e2e_support import SCHEMES, build, check_bits, machine, prompt_of, tiny_program, vocabulary_of

PRIMES = (2, 3, 5, 7, 11, 13, 31, 61, 67, 127, 131, 257, 521, 601)
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
SRAM_BYTES = (16 << 10, 24 << 10, 33 << 10, 48 << 10, 1 << 17, 1 << 19, 2 << 20)
# No shrinking: an example takes a second, and its arguments say enough.
SETTINGS = settings(
    deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None, phases=[Phase.generate]
)


@st.composite
def scalings(draw: st.DrawFn, head_dim: int) -> dict[str, Any] | None:
    kinds: list[dict[str, Any] | None] = [
        None,
        None,
        {"rope_type": "linear", "factor": 3.0},
        LLAMA3 | {"original_max_position_embeddings": 32},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        {
            "rope_type": "longrope",
            "short_factor": [1.0 + 0.1 * j for j in range(head_dim // 2)],
            "long_factor": [2.0 + 0.3 * j for j in range(head_dim // 2)],
            "original_max_position_embeddings": 64,
        },
    ]
    return draw(st.sampled_from(kinds))


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Fields that replace those of TINY_MODEL."""
    kv_heads = draw(st.integers(1, 3))
    head_dim = draw(st.sampled_from([2, 4, 6, 8, 10, 16, 22]))
    return {
        "num_key_value_heads": kv_heads,
        "num_attention_heads": kv_heads * draw(st.integers(1, 4)),
        "head_dim": head_dim,
        "hidden_size": draw(st.one_of(st.integers(1, 80), st.sampled_from([16, 31, 32, 33, 64, 65, 130]))),
        "intermediate_size": draw(st.one_of(st.integers(1, 100), st.sampled_from([1, 16, 17, 33, 63, 129]))),
        "vocab_size": draw(st.sampled_from(PRIMES)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "attention_bias": draw(st.booleans()),
        "mlp_bias": draw(st.booleans()),
        "tie_word_embeddings": draw(st.booleans()),
        "hidden_act": draw(st.sampled_from(["silu", "gelu", "gelu_new", "relu", "quick_gelu", "sigmoid", "tanh"])),
        "rope_scaling": draw(scalings(head_dim)),
        "rms_norm_eps": draw(st.sampled_from([1e-5, 1e-6, 0.1])),
    }


@st.composite
def machines(draw: st.DrawFn) -> tuple[str, int]:
    """(name, SRAM bytes, 0 for the machine's own)."""
    name = draw(st.sampled_from(["edge", "tiny"]))
    return name, draw(st.sampled_from([0, 0, *SRAM_BYTES]))


@st.composite
def prompts(draw: st.DrawFn) -> tuple[int, int, int]:
    """(prompt length, tokens to generate, context)."""
    length = draw(st.one_of(st.integers(1, 20), st.sampled_from([31, 32, 33, 64, 127, 129, 254, 256, 258])))
    new = draw(st.integers(1, 5))
    return length, new, length + new + draw(st.sampled_from([0, 0, 1, 30, 250]))


def check(changes: dict[str, Any], scheme: str, where: tuple[str, int], sizes: tuple[int, int, int], seed: int) -> None:
    name, sram_bytes = where
    if name == "edge" and sram_bytes:
        sram_bytes = -(-sram_bytes // (1 << 15)) * (1 << 15)  # whole banks
    length, new, context = sizes
    program = tiny_program(seed, **changes)
    chosen = Options(machine(name, sram_bytes), scheme, context, predict=False)
    try:
        executable = build(program, chosen)
    except CompileError as error:
        assert "the smallest plan needs" in error.message
        assert 0 < sram_bytes < 1 << 16
        assume(False)
        return
    check_bits(program, chosen, prompt_of(length, vocabulary_of(executable), seed), new, executable)


@settings(SETTINGS, max_examples=6)
@given(configs(), st.sampled_from(SCHEMES), machines(), prompts(), st.integers(0, 99))
def test_random_models(
    changes: dict[str, Any], scheme: str, where: tuple[str, int], sizes: tuple[int, int, int], seed: int
) -> None:
    check(changes, scheme, where, sizes, seed)


@pytest.mark.long
@settings(SETTINGS, max_examples=400)
@given(configs(), st.sampled_from(SCHEMES), machines(), prompts(), st.integers(0, 99))
def test_many_random_models(
    changes: dict[str, Any], scheme: str, where: tuple[str, int], sizes: tuple[int, int, int], seed: int
) -> None:
    check(changes, scheme, where, sizes, seed)


def windowed(window: int) -> dict[str, Any]:
    return {"model_type": "mistral", "sliding_window": window, "num_attention_heads": 2}


# The ring of window 100 holds 2 blocks, so it has wrapped after 512 positions; that of 257 too, of 258 it holds 3.
WINDOWS = [(1, "bf16"), (2, "fp32"), (100, "w8a8-kv8"), (256, "bf16"), (257, "w8a8"), (258, "w8a8-kv8")]


@pytest.mark.parametrize(("window", "scheme"), WINDOWS)
def test_ring_cache_after_it_has_wrapped(window: int, scheme: str) -> None:
    name = "tiny" if window in (100, 258) else "edge"
    length = 1030 if window == 258 else 760
    check(windowed(window), scheme, (name, 0), (length, 12, 1500), 5)


@pytest.mark.long
@settings(SETTINGS, max_examples=60)
@given(
    st.one_of(st.integers(1, 600), st.sampled_from([1, 2, 255, 256, 257, 258, 511, 512, 513, 514])),
    st.sampled_from(SCHEMES), machines(), st.integers(1, 1400), st.integers(1, 12),
)  # fmt: skip
def test_ring_caches(window: int, scheme: str, where: tuple[str, int], length: int, new: int) -> None:
    check(windowed(window), scheme, where, (length, new, 1500), 6)
