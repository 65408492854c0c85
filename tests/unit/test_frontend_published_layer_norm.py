"""The golden checkpoints of the families with layer norm load: every tensor is read, and each weight is the one its name says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.interpreters.slm import interpret_slm
from frontends import load_program
from frontends.weights.checkpoint import open_checkpoint

PUBLISHED = Path(__file__).parents[1] / "golden" / "published"
VARIANTS = {  # name: model_type
    "gpt2": "gpt2", "gpt2_scaled": "gpt2", "gpt_neox": "gpt_neox", "gpt_neox_sequential": "gpt_neox", "kosmos2": "kosmos-2",
    "opt": "opt", "opt_350m": "opt", "opt_no_bias": "opt", "phi": "phi", "phi_qk_norm": "phi", "stablelm": "stablelm",
    "stablelm_parallel": "stablelm",
}  # fmt: skip
# Hub names of weights outside of layers, and the prefix of layers, written down here a second time.
OUTER = {
    "phi": {"embed": "model.embed_tokens", "norm": "model.final_layernorm", "head": "lm_head"},
    "stablelm": {"embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"},
    "gpt_neox": {"embed": "gpt_neox.embed_in", "norm": "gpt_neox.final_layer_norm", "head": "embed_out"},
    "opt": {
        "embed": "model.decoder.embed_tokens", "pos": "model.decoder.embed_positions",
        "norm": "model.decoder.final_layer_norm",
        "project_in": "model.decoder.project_in", "project_out": "model.decoder.project_out",
    },
    "gpt2": {"embed": "transformer.wte", "pos": "transformer.wpe", "ln_f": "transformer.ln_f"},
    "kosmos-2": {
        "embed": "text_model.model.embed_tokens", "norm": "text_model.model.layer_norm",
        "patch": "vision_model.model.embeddings.patch_embedding", "v_pre": "vision_model.model.pre_layrnorm",
        "v_post": "vision_model.model.post_layernorm", "to_text": "image_to_text_projection.dense",
        "rq": "image_to_text_projection.x_attn.q_proj", "rk": "image_to_text_projection.x_attn.k_proj",
        "rv": "image_to_text_projection.x_attn.v_proj", "ro": "image_to_text_projection.x_attn.out_proj",
    },
}  # fmt: skip
PREFIX = {
    "phi": "model.layers", "stablelm": "model.layers", "gpt_neox": "gpt_neox.layers", "opt": "model.decoder.layers",
    "gpt2": "transformer.h", "kosmos-2": "text_model.model.layers", "vision": "vision_model.model.encoder.layers",
}  # fmt: skip
TENSORS = {  # weights without parts
    "class": "vision_model.model.embeddings.class_embedding",
    "vpos": "vision_model.model.embeddings.position_embedding.weight",
    "latents": "image_to_text_projection.latent_query",
}
QKV = {name: f"self_attn.{name}_proj" for name in "qkv"}
INNER = {
    "phi": QKV | {
        "ln": "input_layernorm", "o": "self_attn.dense", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
        "q_norm": "self_attn.q_layernorm", "k_norm": "self_attn.k_layernorm",
    },
    "stablelm": QKV | {
        "attn_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm", "o": "self_attn.o_proj",
        "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
    },
    "gpt_neox": {
        "attn_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm", "o": "attention.dense",
        "fc1": "mlp.dense_h_to_4h", "fc2": "mlp.dense_4h_to_h",
    },
    "opt": QKV | {
        "attn_norm": "self_attn_layer_norm", "mlp_norm": "final_layer_norm", "o": "self_attn.out_proj", "fc1": "fc1",
        "fc2": "fc2",
    },
    "gpt2": {"ln_1": "ln_1", "ln_2": "ln_2", "o": "attn.c_proj", "fc": "mlp.c_fc", "proj": "mlp.c_proj"},
    "kosmos-2": QKV | {
        "attn_norm": "self_attn_layer_norm", "attn_ln": "self_attn.inner_attn_ln", "mlp_norm": "final_layer_norm",
        "o": "self_attn.out_proj", "fc1": "ffn.fc1", "fc2": "ffn.fc2", "mlp_ln": "ffn.ffn_layernorm",
    },
    "vision": QKV | {
        "norm1": "layer_norm1", "norm2": "layer_norm2", "o": "self_attn.out_proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2",
    },
}  # fmt: skip
Tensors = dict[str, Any]


def raw_tensors(directory: Path) -> Tensors:
    stored = open_checkpoint(directory)
    return {name: stored.load_tensor(name) for name in stored.tensor_names()}


def heads_of(config: dict[str, Any]) -> int:
    return config.get("num_attention_heads") or config["n_head"]


def interleaved(raw: Tensors, prefix: str, part: str, which: int, heads: int) -> tuple[Any, set[str]]:
    """GPT-NeoX: head by head the rows of q, k and v."""
    name = f"{prefix}.attention.query_key_value.{part}"
    rows = raw[name].reshape(heads, 3, -1, *raw[name].shape[1:])
    return rows[:, which].reshape(-1, *raw[name].shape[1:]), {name}


def stored_in_out(raw: Tensors, prefix: str, part: str, which: int) -> tuple[Any, set[str]]:
    """GPT-2: the columns of q, k and v, one after the other."""
    name = f"{prefix}.attn.c_attn.{part}"
    return np.split(raw[name], 3, axis=-1)[which].T, {name}


def stacked(raw: Tensors, prefix: str, which: str) -> tuple[Any, set[str]]:
    """StableLM: one norm for each head."""
    start = f"{prefix}.self_attn.{which}_layernorm.norms."
    names = sorted((name for name in raw if name.startswith(start)), key=lambda name: int(name.split(".")[-2]))
    return np.stack([raw[name] for name in names]), set(names)


def expected(raw: Tensors, config: dict[str, Any], name: str) -> tuple[Any, set[str]]:
    """The array behind a weight's name, and the tensors it is made of."""
    kind = config["model_type"]
    if name.count(".") < 2:
        weight, _, part = name.partition(".")
        stored = f"{OUTER[kind][weight]}.{part}" if part else TENSORS[weight]
        return raw[stored], {stored}
    group, layer, weight, part = name.split(".")
    kind = kind if group == "layers" else "vision"
    prefix = f"{PREFIX[kind]}.{layer}"
    if kind == "gpt_neox" and weight in "qkv":
        return interleaved(raw, prefix, part, "qkv".index(weight), heads_of(config))
    if kind == "gpt2" and weight in "qkv":
        return stored_in_out(raw, prefix, part, "qkv".index(weight))
    if kind == "stablelm" and weight in ("q_norm", "k_norm"):
        return stacked(raw, prefix, weight[0])
    stored = f"{prefix}.{INNER[kind][weight]}.{part}"
    matrix_in_out = kind == "gpt2" and part == "weight" and not weight.startswith("ln")
    return raw[stored].T if matrix_in_out else raw[stored], {stored}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(variant: str) -> None:
    directory = PUBLISHED / variant
    config = json.loads((directory / "config.json").read_text())
    assert config["model_type"] == VARIANTS[variant]
    program, raw = load_program(directory), raw_tensors(directory)
    assert program.notes == []
    assert program.max_positions == 512
    tied = config.get("tie_word_embeddings", config["model_type"] == "gpt2")
    assert program.weights.alias_of("head.weight") == ("embed.weight" if tied else None)
    used: set[str] = set()
    for name in program.weights.names():
        if program.weights.alias_of(name) is None:
            array, names = expected(raw, config, name)
            assert np.array_equal(program.weights.load(name), array.reshape(program.weights.shape(name)))
            used |= names
    assert raw.keys() == used


def logits_of(directory: Path) -> Any:
    return interpret_slm(load_program(directory), [1, 5, 7, 0])


def renamed(
    source: Path, target: Path, rename: Callable[[str], str], extra: Tensors, kept: Callable[[str], bool] = bool
) -> Path:
    """A copy of a checkpoint's tensors that are kept, under other names, as F32, and more tensors."""
    tensors = {rename(name): array for name, array in raw_tensors(source).items() if kept(name)} | extra
    header, data = {}, b""
    for name, array in tensors.items():
        values = np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    shutil.copy(source / "config.json", target / "config.json")
    (target / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    return target


def test_gpt2_as_the_hub_stores_it(tmp_path: Path) -> None:
    """Without `transformer.`, with the mask buffers of each layer."""
    masks = {f"h.{layer}.attn.bias": np.ones((1, 1, 8, 8)) for layer in range(2)}
    copy = renamed(PUBLISHED / "gpt2", tmp_path, lambda name: name.removeprefix("transformer."), masks)
    np.testing.assert_array_equal(logits_of(copy), logits_of(PUBLISHED / "gpt2"))


def test_opt_as_the_hub_stores_it(tmp_path: Path) -> None:
    """Without `model.`, with the tied head a second time."""
    head = {"lm_head.weight": np.zeros((101, 20))}
    copy = renamed(PUBLISHED / "opt_350m", tmp_path, lambda name: name.removeprefix("model."), head)
    np.testing.assert_array_equal(logits_of(copy), logits_of(PUBLISHED / "opt_350m"))


MSFT_FIELDS = {
    "hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head",
    "intermediate_size": "n_inner", "layer_norm_eps": "layer_norm_epsilon", "hidden_act": "activation_function",
    "max_position_embeddings": "n_positions",
}  # fmt: skip
MSFT_NAMES = {  # in this order
    "lm_head": "lm_head.linear", "model.embed_tokens": "transformer.embd.wte", "model.final_layernorm": "lm_head.ln",
    "model.layers": "transformer.h", "input_layernorm": "ln", "self_attn.dense": "mixer.out_proj",
}  # fmt: skip


def msft_name(name: str) -> str:
    for ours, theirs in MSFT_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def test_phi_as_it_was_first_published(tmp_path: Path) -> None:
    """model_type phi-msft: q, k and v are one tensor, one after the other; the rotary dimension is a number."""
    source = PUBLISHED / "phi"
    raw = raw_tensors(source)
    fused = {
        f"transformer.h.{layer}.mixer.Wqkv.{part}": np.concatenate(
            [raw[f"model.layers.{layer}.self_attn.{name}_proj.{part}"] for name in "qkv"]
        )
        for layer in range(2)
        for part in ("weight", "bias")
    }
    copy = renamed(source, tmp_path, msft_name, fused, lambda name: "_proj" not in name)
    config = json.loads((source / "config.json").read_text())
    for field in ("num_key_value_heads", "qk_layernorm", "rope_scaling", "rope_theta", "partial_rotary_factor"):
        config.pop(field, None)
    config = {MSFT_FIELDS.get(field, field): value for field, value in config.items()}
    config |= {"model_type": "phi-msft", "rotary_dim": 6, "n_head_kv": None, "flash_attn": False}
    (copy / "config.json").write_text(json.dumps(config))
    np.testing.assert_array_equal(logits_of(copy), logits_of(source))
    assert load_program(copy).max_positions == 512
