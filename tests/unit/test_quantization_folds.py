"""Methods that move factors and rotations between weights: the model computes what it did, and the factors are those of the papers."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.errors import CompileError
from compiler.formats import WeightFormat
from compiler.interpreters.slm import interpret_slm
from compiler.quantization.methods.hadamard import Rotation, hadamard_factors
from compiler.quantization.structure import find_channels
from tests.unit.quantization_support import (
    folded,
    golden_tokens,
    logits_of,
    published,
    rounded_by_hand,
)

TOLERANCE = 1e-4
"""Of logits in float64: the folded weights are float32."""
ROTATED = [
    "gqa", "mha", "mqa", "biases", "tied", "head_dim", "odd_sizes", "qwen2", "qwen3", "gemma", "granite", "granite_minicpm", "phi3",
    "smollm3", "mixtral", "mixtral_top1", "mistral_window", "lfm2",
]  # fmt: skip
SCALED = [*ROTATED, "gpt2", "opt", "phi", "phi_qk_norm", "stablelm", "gpt_neox", "olmo2", "gemma2", "gemma3", "mamba"]
HADAMARD_SIZES = (1, 2, 4, 8, 12, 20, 24, 28, 36, 44, 60, 64, 80, 576, 896, 960, 1536, 2048, 2304, 2560)


@pytest.mark.parametrize("method", ["smoothquant", "awq", "kv"])
@pytest.mark.parametrize("name", SCALED)
def test_factors_leave_the_logits(name: str, method: str) -> None:
    program, tokens = published(name), golden_tokens(name)[:48]
    prepared = folded(program, "w8a8", method, tokens)
    assert np.abs(logits_of(program, prepared, tokens) - interpret_slm(program, tokens)).max() < TOLERANCE
    changed = [n for n in program.weights.names() if prepared.dtypes.get(n) == "f32" or n in prepared.formats]
    assert changed


@pytest.mark.parametrize("name", ROTATED)
def test_rotation_leaves_the_logits(name: str) -> None:
    program, tokens = published(name), golden_tokens(name)[:48]
    prepared = folded(program, "w8a8", "rotate", tokens)
    assert np.abs(logits_of(program, prepared, tokens) - interpret_slm(program, tokens)).max() < TOLERANCE
    weights = prepared.job.weights
    assert prepared.aliases == {}
    table = "embed.weight"
    before, after = (store.load(table) for store in (program.weights, weights))
    assert np.abs(before - after).max() > 0.01
    assert np.allclose((before**2).sum(axis=1), (after**2).sum(axis=1), rtol=1e-4)


@pytest.mark.parametrize("name", ["gqa", "qwen2", "mixtral"])
@pytest.mark.parametrize("method", ["rotate+smoothquant", "kv+awq", "rotate+kv+smoothquant", "awq+smoothquant+kv"])
def test_folds_go_together(name: str, method: str) -> None:
    program, tokens = published(name), golden_tokens(name)[:48]
    prepared = folded(program, "w8a8", method, tokens)
    assert np.abs(logits_of(program, prepared, tokens) - interpret_slm(program, tokens)).max() < TOLERANCE


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt2", "a layer norm subtracts the mean of the residual, so the residual cannot be rotated"),
        ("phi", "a layer norm subtracts the mean"),
        ("olmo2", "a norm with weights lies between a matrix and the residual"),
        ("gemma2", "a norm with weights lies between a matrix and the residual"),
        ("kosmos2", "so the residual cannot be rotated"),
    ],
)
def test_models_that_cannot_be_rotated(name: str, message: str) -> None:
    with pytest.raises(CompileError, match=message) as caught:
        folded(published(name), "w8a8", "rotate", [])
    assert ".slm:" in caught.value.place


def test_mamba_is_rotated_where_it_can_be() -> None:
    program, tokens = published("mamba"), golden_tokens("mamba")[:48]
    prepared = folded(program, "w8a8", "rotate", tokens)
    assert np.abs(logits_of(program, prepared, tokens) - interpret_slm(program, tokens)).max() < TOLERANCE


@pytest.mark.parametrize("size", HADAMARD_SIZES)
def test_hadamard_matrices(size: int) -> None:
    rotation = Rotation.of(size, np.random.default_rng(3))
    matrix = rotation.apply(np.eye(size))
    assert np.abs(np.abs(matrix) - size**-0.5).max() < 1e-12
    assert np.abs(matrix @ matrix.T - np.eye(size)).max() < 1e-10


@pytest.mark.parametrize("size", [3, 7, 18, 45, 72 + 2])
def test_other_sizes_have_an_orthogonal_matrix(size: int) -> None:
    assert hadamard_factors(size) is None
    matrix = Rotation.of(size, np.random.default_rng(3)).apply(np.eye(size))
    assert np.abs(matrix @ matrix.T - np.eye(size)).max() < 1e-10
    assert np.abs(matrix).max() < 1


def first_inputs(tokens: list[int]) -> np.ndarray:
    """What the first norm of model gqa gives, written out."""
    weights = published("gqa").weights
    x = weights.load("embed.weight").astype(np.float64)[tokens]
    x /= np.sqrt((x * x).mean(axis=1, keepdims=True) + published("gqa").config["rms_norm_eps"])
    return x * weights.load("layers.0.attn_norm.weight")


def first_factors(method: str, scheme: str, tokens: list[int]) -> np.ndarray:
    """What the norm's weight was divided by."""
    program = published("gqa")
    after = folded(program, scheme, method, tokens).job.weights.load("layers.0.attn_norm.weight")
    return program.weights.load("layers.0.attn_norm.weight") / after


def test_smoothquant_takes_the_factors_of_the_paper() -> None:
    tokens, weights = golden_tokens("gqa"), published("gqa").weights
    inputs = np.abs(first_inputs(tokens)).max(axis=0)
    columns = np.max([np.abs(weights.load(f"layers.0.{n}.weight")).max(axis=0) for n in "qkv"], axis=0)
    assert np.allclose(first_factors("smoothquant", "w8a8", tokens), inputs**0.5 / columns**0.5, rtol=1e-4)


def test_awq_takes_the_best_exponent() -> None:
    tokens, weights = golden_tokens("gqa"), published("gqa").weights
    x, form = first_inputs(tokens), WeightFormat.of("i4-g32")
    mean = np.abs(x).mean(axis=0)
    errors, grid = [], []
    for step in range(20):
        s = mean ** (step / 20)
        s = (s / np.sqrt(s.max() * s.min())).astype(np.float32)
        grid.append(s)
        error = 0.0
        for name in "qkv":
            weight = weights.load(f"layers.0.{name}.weight")
            rounded = rounded_by_hand(weight * s, form) / s
            error += ((x @ (rounded - weight).T) ** 2).sum()
        errors.append(error)
    best = int(np.argmin(errors))
    assert best > 0 and sorted(errors)[1] > errors[best] * 1.0001
    assert np.allclose(first_factors("awq", "w4a8-g32", tokens), grid[best], rtol=1e-4)


def test_kv_takes_the_larger_channel_of_a_rotary_pair() -> None:
    program, tokens = published("gqa"), golden_tokens("gqa")
    k = program.weights.load("layers.0.k.weight")
    after = folded(program, "w8a8", "kv", tokens).job.weights
    keys = (first_inputs(tokens) @ k.T).reshape(len(tokens), 2, 8)
    angles = np.arange(len(tokens))[:, None] * 10000.0 ** (-np.arange(4) / 4)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    low, high = keys[..., :4], keys[..., 4:]
    rotated = np.concatenate([low * cos - high * sin, high * cos + low * sin], axis=-1)
    largest = np.abs(rotated).max(axis=0)
    pair = np.maximum(largest[:, :4], largest[:, 4:])
    factors = np.concatenate([pair, pair], axis=1) ** 0.5
    assert np.allclose(k / after.load("layers.0.k.weight"), factors.reshape(-1, 1), rtol=1e-3)
    queries = after.load("layers.0.q.weight") / program.weights.load("layers.0.q.weight")
    assert np.allclose(queries, np.repeat(factors, 4, axis=0).reshape(-1, 1), rtol=1e-3)


def test_kv_goes_into_norms_of_heads() -> None:
    program, tokens = published("qwen3"), golden_tokens("qwen3")
    prepared = folded(program, "w8a8", "kv", tokens)
    before, after = program.weights, prepared.job.weights
    changed = {name for name in before.names() if not np.array_equal(before.load(name), after.load(name))}
    assert {name.split(".", 2)[-1] for name in changed} == {"q_norm.weight", "k_norm.weight"}
    assert prepared.job.notes == []


def test_places_of_a_gated_mlp_with_grouped_queries() -> None:
    found = [(place.kind, len(place.consumers), place.shared) for place in find_channels(published("gqa").module)]
    assert found == [("norm", 3, 1), ("value", 1, 4), ("norm", 2, 1), ("product", 1, 1), ("norm", 1, 1)]


def test_places_of_a_mixture_reach_into_the_experts() -> None:
    program = published("mixtral")
    places = {place.kind: place for place in find_channels(program.module) if place.kind in ("norm", "product")}
    product = places["product"].consumer_names(0, 3)
    assert product == ["layers.0.experts.3.down.weight"]
    norms = [place.consumer_names(1, None) for place in find_channels(program.module) if place.kind == "norm"]
    assert any("layers.1.experts.0.gate.weight" in names and len(names) > 8 for names in norms)


def test_what_takes_no_factors_is_told() -> None:
    program, tokens = published("mamba"), golden_tokens("mamba")[:48]
    notes = folded(program, "w8a8", "smoothquant", tokens).job.notes
    assert len(notes) == 1 and notes[0].startswith("smoothquant: nothing before layers.{i}.")
