"""Every published golden checkpoint loads, with the weights and config facts that its directory states.

Those of the families with layer norm are in test_frontend_published_layer_norm.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from frontends import load_program
from frontends.weights.checkpoint import open_checkpoint
from tests.unit.test_frontend_published_layer_norm import VARIANTS as WITH_LAYER_NORM

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
ELSEWHERE = ("lfm2", "lfm2_biases", "mamba", "mamba_biases")  # test_frontend_recurrent.py
VARIANTS = sorted(
    {path.parent.name for path in PUBLISHED.glob("*/config.json")} - set(WITH_LAYER_NORM) - set(ELSEWHERE)
)
STORED_NAMES = {"embed.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight"}
LAYER_NAMES = {
    "attn_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm", "q": "self_attn.q_proj",
    "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj", "gate": "mlp.gate_proj",
    "up": "mlp.up_proj", "down": "mlp.down_proj", "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm",
}  # fmt: skip
FOUR_NORMS = {
    "pre_attn": "input_layernorm", "post_attn": "post_attention_layernorm",
    "pre_mlp": "pre_feedforward_layernorm", "post_mlp": "post_feedforward_layernorm",
}  # fmt: skip
OWN_NAMES = {
    "gemma2": FOUR_NORMS, "gemma3_text": FOUR_NORMS,
    "mixtral": {
        "router": "block_sparse_moe.gate",
        "gate": "block_sparse_moe.experts.{e}.w1", "up": "block_sparse_moe.experts.{e}.w3", "down": "block_sparse_moe.experts.{e}.w2",
    },
    "olmo2": {"attn_norm": "post_attention_layernorm", "mlp_norm": "post_feedforward_layernorm"},
}  # fmt: skip
FUSED = {"phi3": {"self_attn.qkv_proj": ("q", "k", "v"), "mlp.gate_up_proj": ("gate", "up")}}


def test_there_are_variants() -> None:
    assert len(VARIANTS) >= 12


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(variant: str) -> None:
    directory = PUBLISHED / variant
    config = json.loads((directory / "config.json").read_text())
    program = load_program(directory)
    weights, stored = program.weights, open_checkpoint(directory)
    assert program.notes == []
    assert program.max_positions == config["max_position_embeddings"]
    assert weights.alias_of("head.weight") == ("embed.weight" if config.get("tie_word_embeddings") else None)
    tensors = {name: stored.load_tensor(name) for name in stored.tensor_names()}
    for layer in range(config["num_hidden_layers"]):
        for fused, parts in FUSED.get(config["model_type"], {}).items():
            whole = tensors.pop(f"model.layers.{layer}.{fused}.weight")
            loaded = [weights.load(f"layers.{layer}.{part}.weight") for part in parts]
            assert np.array_equal(np.concatenate([part.reshape(-1, whole.shape[1]) for part in loaded]), whole)
            tensors |= {f"model.layers.{layer}.{LAYER_NAMES[p]}.weight": a for p, a in zip(parts, loaded, strict=True)}
    own = OWN_NAMES.get(config["model_type"], {})
    for name in weights.names():
        assert np.array_equal(weights.load(name), tensors[_stored_name(name, weights.alias_of(name), own)])
    assert len(weights.names()) == len(tensors) + bool(config.get("tie_word_embeddings"))


def _stored_name(name: str, alias: str | None, own: dict[str, str]) -> str:
    """The hub's name of a weight, written down here a second time."""
    if not name.startswith("layers."):
        return STORED_NAMES.get(alias or name, "lm_head.weight")
    _, layer, *group, weight, part = name.split(".")
    stored = (LAYER_NAMES | own)[weight].format(e=group[-1] if group else None)
    return f"model.layers.{layer}.{stored}.{part}"
