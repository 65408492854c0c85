"""A checkpoint with random weights, and the same as a GGUF file in bf16: what both sides start from."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from compiler.program import Program
from frontends import load_program
from frontends.weights.safetensors_writer import SafetensorsWriter

BLOCK_ELEMENTS = 1 << 22
HUB = {
    "embed": "model.embed_tokens", "norm": "model.norm", "head": "lm_head", "attn_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
    "o": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}  # fmt: skip
GGUF = {
    "embed": "token_embd", "norm": "output_norm", "head": "output", "attn_norm": "attn_norm", "mlp_norm": "ffn_norm",
    "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
}  # fmt: skip


def make_checkpoint(config: Path, folder: Path, **changes: int) -> None:
    """config.json, with changes, and one model.safetensors in bf16."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(json.loads(config.read_text()) | changes))
    weights = load_program(folder / "config.json", random_seed=0).weights
    names = {name: hub_name(name) for name in weights.names()}
    writer = SafetensorsWriter(
        folder, {names[name]: ("BF16", weights.shape(name)) for name in names}, shard_bytes=1 << 40
    )
    for name, hub in names.items():
        flat = weights.load(name).reshape(-1)
        for first in range(0, flat.size, BLOCK_ELEMENTS):
            writer.write(hub, 2 * first, bf16(flat[first : first + BLOCK_ELEMENTS]))
    writer.close()


def bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Random weights: how they are rounded does not matter."""
    return (values.view(np.uint32) >> 16).astype(np.uint16)


def hub_name(name: str) -> str:
    *place, module, part = name.split(".")
    return ".".join([*(["model", *place] if place else []), HUB[module], part])


def gguf_name(name: str) -> str:
    *place, module, part = name.split(".")
    return ".".join([*(["blk", place[-1]] if place else []), GGUF[module], part])


def make_gguf(folder: Path, path: Path) -> None:
    """The checkpoint as llama.cpp reads it, without a vocabulary."""
    program = load_program(folder)
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    _add_tensors(writer, program)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name in program.weights.names():
        writer.write_tensor_data(_stored(name, program.weights.load(name)))
    writer.close()


def _add_tensors(writer: gguf.GGUFWriter, program: Program) -> None:
    for name in program.weights.names():
        shape = program.weights.shape(name)
        is_vector = len(shape) == 1
        kind = gguf.GGMLQuantizationType.F32 if is_vector else gguf.GGMLQuantizationType.BF16
        size_bytes = int(np.prod(shape)) * (4 if is_vector else 2)
        writer.add_tensor_info(gguf_name(name), shape, np.dtype(np.float32), size_bytes, raw_dtype=kind)


def _stored(name: str, values: NDArray[np.float32]) -> NDArray[np.generic]:
    return values if values.ndim == 1 else bf16(np.ascontiguousarray(values))
