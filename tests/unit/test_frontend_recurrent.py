"""Golden checkpoints of LFM2 and Mamba load: every weight is the part of the stored tensor that it should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compiler.dialects import slm
from compiler.program import Program
from frontends import load_program
from frontends.errors import FrontendError
from frontends.weights.checkpoint import open_checkpoint

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
CONFIGS = PUBLISHED.parents[2] / "examples" / "configs"
LFM2 = {
    "op_norm": "operator_norm", "mlp_norm": "ffn_norm", "q": "self_attn.q_proj", "k": "self_attn.k_proj",
    "v": "self_attn.v_proj", "q_norm": "self_attn.q_layernorm", "k_norm": "self_attn.k_layernorm",
    "o": "self_attn.out_proj", "conv": "conv.conv", "out": "conv.out_proj",
    "gate": "feed_forward.w1", "up": "feed_forward.w3", "down": "feed_forward.w2",
}  # fmt: skip
MAMBA = {"ln": "norm", "conv": "mixer.conv1d", "dt": "mixer.dt_proj", "out": "mixer.out_proj"}


def load(variant: str) -> tuple[Program, dict[str, np.ndarray]]:
    """The program, and the stored tensors."""
    stored = open_checkpoint(PUBLISHED / variant)
    program = load_program(PUBLISHED / variant)
    assert program.notes == []
    return program, {name: stored.load_tensor(name) for name in stored.tensor_names()}


def taken(program: Program, tensors: dict[str, np.ndarray], weight: str, tensor: str) -> None:
    """`weight` is the whole of `tensor`, for each part that is stored."""
    for part in ("weight", "bias"):
        name = f"{weight}.{part}"
        assert (name in program.weights.names()) == (f"{tensor}.{part}" in tensors), name
        if name in program.weights.names():
            values = tensors.pop(f"{tensor}.{part}")
            np.testing.assert_array_equal(program.weights.load(name), values.reshape(program.weights.shape(name)))


def split(program: Program, tensors: dict[str, np.ndarray], weights: list[str], tensor: str) -> None:
    """The rows of `tensor` are those of the weights, one after the other."""
    for part in ("weight", "bias"):
        if f"{tensor}.{part}" in tensors:
            parts = [program.weights.load(f"{weight}.{part}") for weight in weights]
            np.testing.assert_array_equal(np.concatenate(parts), tensors.pop(f"{tensor}.{part}"))


@pytest.mark.parametrize("variant", ["lfm2", "lfm2_biases"])
def test_lfm2(variant: str) -> None:
    program, tensors = load(variant)
    config = json.loads((PUBLISHED / variant / "config.json").read_text())
    assert program.max_positions == 512
    for layer in range(config["num_hidden_layers"]):
        own, stored = f"layers.{layer}", f"model.layers.{layer}"
        if layer not in config["full_attn_idxs"]:
            split(program, tensors, [f"{own}.{name}" for name in "bcu"], f"{stored}.conv.in_proj")
        for name, tensor in LFM2.items():
            taken(program, tensors, f"{own}.{name}", f"{stored}.{tensor}")
    taken(program, tensors, "embed", "model.embed_tokens")
    taken(program, tensors, "norm", "model.embedding_norm")
    if not config["tie_word_embeddings"]:
        taken(program, tensors, "head", "lm_head")
    assert not tensors
    layers = next(op for op in program.module.walk() if isinstance(op, slm.LayersOp))
    attends = [any(isinstance(op, slm.AttentionOp) for op in layers.body(kind).ops) for kind in layers.layer_kinds]
    assert [layer for layer, is_attention in enumerate(attends) if is_attention] == config["full_attn_idxs"]


@pytest.mark.parametrize("variant", ["mamba", "mamba_biases"])
def test_mamba(variant: str) -> None:
    program, tensors = load(variant)
    config = json.loads((PUBLISHED / variant / "config.json").read_text())
    assert program.max_positions == 0
    for layer in range(config["num_hidden_layers"]):
        own, stored = f"layers.{layer}", f"backbone.layers.{layer}"
        split(program, tensors, [f"{own}.u0", f"{own}.z"], f"{stored}.mixer.in_proj")
        split(program, tensors, [f"{own}.dt_low", f"{own}.B", f"{own}.C"], f"{stored}.mixer.x_proj")
        for name, tensor in MAMBA.items():
            taken(program, tensors, f"{own}.{name}", f"{stored}.{tensor}")
        np.testing.assert_array_equal(program.weights.load(f"{own}.D"), tensors.pop(f"{stored}.mixer.D"))
        a = -np.exp(tensors.pop(f"{stored}.mixer.A_log").astype(np.float64))
        np.testing.assert_allclose(program.weights.load(f"{own}.A"), a, rtol=2e-7)
    taken(program, tensors, "embed", "backbone.embeddings")
    taken(program, tensors, "norm", "backbone.norm_f")
    if not config["tie_word_embeddings"]:
        taken(program, tensors, "head", "lm_head")
    assert not tensors


def changed(tmp_path: Path, name: str, **changes: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads((CONFIGS / f"{name}.json").read_text()) | changes))
    return path


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("mamba-130m", {"intermediate_size": 1024}, "an inner width other than expand * hidden_size"),
        ("lfm2-1.2b", {"block_ffn_dim_multiplier": None}, "an FFN width that is not rounded"),
    ],
)
def test_what_the_files_do_not_describe(tmp_path: Path, name: str, changes: dict[str, object], message: str) -> None:
    with pytest.raises(FrontendError, match=message.replace("*", r"\*")):
        load_program(changed(tmp_path, name, **changes), random_seed=1)


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    weights = load_program(path, random_seed=1).weights
    return {name: weights.shape(name) for name in weights.names()}


def test_widths_of_lfm2(tmp_path: Path) -> None:
    """Two thirds, times the multiplier, rounded up; or as stated."""
    for changes, width in (
        ({"block_ff_dim": 6656}, 4608),
        ({"block_ff_dim": 6656, "block_ffn_dim_multiplier": 1.5}, 6656),
        ({"block_ff_dim": None, "intermediate_size": 10752, "block_multiple_of": 1000}, 8000),
        ({"block_auto_adjust_ff_dim": False}, 12288),
    ):
        assert shapes(changed(tmp_path, "lfm2-1.2b", **changes))["layers.0.up.weight"] == (width, 2048)


def test_every_layer_of_lfm2_attends_unless_it_is_said_which(tmp_path: Path) -> None:
    found = shapes(changed(tmp_path, "lfm2-1.2b", full_attn_idxs=None, num_hidden_layers=3))
    assert {name.split(".")[1] for name in found if ".q.weight" in name} == {"0", "1", "2"}


def test_ranks_of_mamba(tmp_path: Path) -> None:
    for rank, rows in ((None, 48), ("auto", 48), (7, 7)):
        assert shapes(changed(tmp_path, "mamba-130m", time_step_rank=rank))["layers.0.dt_low.weight"] == (rows, 1536)
    odd = shapes(changed(tmp_path, "mamba-130m", hidden_size=49, intermediate_size=None, time_step_rank="auto"))
    assert odd["layers.0.dt_low.weight"] == (4, 98)
