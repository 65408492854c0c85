"""Every published golden checkpoint loads, with the weights and config facts that its directory states."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from frontends import load_program
from frontends.weights.checkpoint import open_checkpoint

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
VARIANTS = sorted(path.parent.name for path in PUBLISHED.glob("*/config.json"))
STORED_NAMES = {"embed.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight"}
LAYER_NAMES = {
    "attn_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm", "q": "self_attn.q_proj",
    "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj", "gate": "mlp.gate_proj",
    "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip


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
    for name in weights.names():
        assert np.array_equal(weights.load(name), stored.load_tensor(_stored_name(name, weights.alias_of(name))))
    assert len(weights.names()) == len(stored.tensor_names()) + bool(config.get("tie_word_embeddings"))


def _stored_name(name: str, alias: str | None) -> str:
    """The hub's name of a weight, written down here a second time."""
    if not name.startswith("layers."):
        return STORED_NAMES.get(alias or name, "lm_head.weight")
    _, layer, weight, part = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[weight]}.{part}"
