"""Hub checkpoints as GGUF files, by the rules of llama.cpp's converter; for tests and for `make_gguf.py`.

Written from `conversion/*.py` of https://github.com/ggml-org/llama.cpp and without the package's `.slm` tables, which
it judges: tensor names come from the gguf package's own map.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

Config = dict[str, Any]
Array = NDArray[np.float32]
Tensors = dict[str, Array]
Quantize = Callable[[str, Array], tuple[NDArray[Any], gguf.GGMLQuantizationType]]
"""GGUF name and values -> what is stored, and as which type."""

ARCHITECTURES = {
    "llama": "llama", "mistral": "llama", "mixtral": "llama", "gemma": "gemma", "gemma2": "gemma2",
    "gemma3_text": "gemma3", "phi3": "phi3", "phi": "phi2", "stablelm": "stablelm", "gpt_neox": "gptneox", "gpt2": "gpt2",
    "qwen2": "qwen2", "qwen3": "qwen3", "smollm3": "smollm3", "olmo2": "olmo2", "granite": "granite",
    "minicpm": "minicpm", "lfm2": "lfm2", "mamba": "mamba",
}  # fmt: skip
PERMUTED = ("llama", "mistral", "mixtral", "smollm3", "granite", "minicpm")
PLAIN_PARAMETERS = ("gemma", "gemma2", "phi3", "phi", "stablelm", "gpt_neox", "gpt2", "mamba")
"""Families whose converter writes its own list of parameters only; the others extend the common list."""


def convert(
    config: Config,
    tensors: Tensors,
    path: Path,
    quantize: Quantize | None = None,
    vocabulary: Callable[[gguf.GGUFWriter], None] | None = None,
) -> Path:
    """Writes a hub config and its tensors as a GGUF file, in float32 if `quantize` does not say otherwise.

    `vocabulary` adds what the file is to say about tokens.
    """
    kind = config["model_type"]
    architecture = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == ARCHITECTURES[kind])
    layers = config.get("num_hidden_layers", config.get("n_layer"))
    names = gguf.get_tensor_name_map(architecture, layers)
    writer = gguf.GGUFWriter(path, ARCHITECTURES[kind])
    writer.add_name("a tiny random model")
    writer.add_type(gguf.GGUFType.MODEL)
    write_parameters(writer, config, layers)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for name, values in [*extra_tensors(writer, config), *modified(config, tensors)]:
        stored_name = names.get_name(name, try_suffixes=(".weight", ".bias")) or name
        data, data_type = values, gguf.GGMLQuantizationType.F32
        if quantize is not None and values.ndim > 1:
            data, data_type = quantize(stored_name, values)
        writer.add_tensor(stored_name, np.ascontiguousarray(data), raw_dtype=data_type)
    if vocabulary is not None:
        vocabulary(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def as_type(data_type: gguf.GGMLQuantizationType) -> Quantize:
    """Every matrix in one type of the package's quantiser."""
    return lambda _name, values: (gguf.quantize(values, data_type), data_type)


def rope_record(config: Config) -> Config:
    """theta and scaling, whichever way the config writes them."""
    record: Config = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    record.setdefault("rope_theta", config.get("rope_theta"))
    record["rope_type"] = record.get("rope_type", record.get("type"))
    return record


def write_parameters(writer: gguf.GGUFWriter, config: Config, layers: int) -> None:
    kind = config["model_type"]
    writer.add_block_count(layers)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    OWN_PARAMETERS.get(kind, lambda _writer, _config: None)(writer, config)
    if kind in PLAIN_PARAMETERS:
        return
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    if kind != "lfm2":
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count_kv(config.get("num_key_value_heads", config["num_attention_heads"]))
    writer.add_head_count(config["num_attention_heads"])
    rope = rope_record(config)
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "yarn":
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if rope["rope_theta"] is not None:
        writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_layer_norm_rms_eps(config.get("rms_norm_eps", config.get("norm_eps")))
    if config.get("head_dim") is not None and kind != "granite":
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])


def head_dim(config: Config) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def _llama(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_vocab_size(config["vocab_size"])
    writer.add_rope_dimension_count(head_dim(config))
    if "num_local_experts" in config:
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])


def _granite(writer: gguf.GGUFWriter, config: Config) -> None:
    _llama(writer, config)
    writer.add_attention_scale(config["attention_multiplier"])
    writer.add_embedding_scale(config["embedding_multiplier"])
    writer.add_residual_scale(config["residual_multiplier"])
    writer.add_logit_scale(config["logits_scaling"])


def _minicpm(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_embedding_scale(float(config["scale_emb"]))
    writer.add_residual_scale(config["scale_depth"] / config["num_hidden_layers"] ** 0.5)
    writer.add_logit_scale(config["hidden_size"] / config["dim_model_base"])


def _sizes(writer: gguf.GGUFWriter, config: Config) -> None:
    """What the families with their own list have in common."""
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config.get("num_key_value_heads", config["num_attention_heads"]))


def _rotated(config: Config, default: float) -> int:
    fraction = config.get("partial_rotary_factor", config.get("rotary_pct", default))
    return int(fraction * config["hidden_size"]) // config["num_attention_heads"]


def _gemma(writer: gguf.GGUFWriter, config: Config) -> None:
    _sizes(writer, config)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])


def _gemma2(writer: gguf.GGUFWriter, config: Config) -> None:
    _gemma(writer, config)
    writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    writer.add_sliding_window(config["sliding_window"])


def _gemma3(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_sliding_window(config["sliding_window"])
    writer.add_rope_freq_base_swa(config["rope_local_base_freq"])


def _phi3(writer: gguf.GGUFWriter, config: Config) -> None:
    _sizes(writer, config)
    writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(_rotated(config, 1.0))
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_sliding_window(config.get("sliding_window") or 0)


def _phi(writer: gguf.GGUFWriter, config: Config) -> None:
    _sizes(writer, config)
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_rope_dimension_count(_rotated(config, 0.5))
    writer.add_add_bos_token(False)


def _stablelm(writer: gguf.GGUFWriter, config: Config) -> None:
    _sizes(writer, config)
    writer.add_rope_dimension_count(_rotated(config, 0.25))
    writer.add_parallel_residual(config.get("use_parallel_residual", True))
    writer.add_layer_norm_eps(config["layer_norm_eps"])


def _gpt_neox(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_rope_dimension_count(_rotated(config, 0.25))
    writer.add_head_count(config["num_attention_heads"])
    writer.add_parallel_residual(config.get("use_parallel_residual", True))
    writer.add_layer_norm_eps(config["layer_norm_eps"])


def _gpt2(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _lfm2(writer: gguf.GGUFWriter, config: Config) -> None:
    attention = [kind == "full_attention" for kind in config["layer_types"]]
    writer.add_head_count_kv([config["num_key_value_heads"] if has else 0 for has in attention])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_shortconv_l_cache(config["conv_L_cache"])
    width = config.get("block_ff_dim", config["intermediate_size"])
    if config["block_auto_adjust_ff_dim"]:
        width = int(config.get("block_ffn_dim_multiplier", 1.0) * int(2 * width / 3))
        width = -(-width // config["block_multiple_of"]) * config["block_multiple_of"]
    writer.add_feed_forward_length(width)


def _mamba(writer: gguf.GGUFWriter, config: Config) -> None:
    writer.add_context_length(2**20)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_ssm_conv_kernel(config["conv_kernel"])
    writer.add_ssm_inner_size(config.get("intermediate_size", 2 * config["hidden_size"]))
    writer.add_ssm_state_size(config["state_size"])
    writer.add_ssm_time_step_rank(config["time_step_rank"])
    writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
    writer.add_ssm_dt_b_c_rms(False)


OWN_PARAMETERS: dict[str, Callable[[gguf.GGUFWriter, Config], None]] = {
    "llama": _llama, "mistral": _llama, "mixtral": _llama, "smollm3": _llama, "granite": _granite, "minicpm": _minicpm,
    "gemma": _gemma, "gemma2": _gemma2, "gemma3_text": _gemma3, "phi3": _phi3, "phi": _phi, "stablelm": _stablelm,
    "gpt_neox": _gpt_neox, "gpt2": _gpt2, "lfm2": _lfm2, "mamba": _mamba,
}  # fmt: skip


def extra_tensors(writer: gguf.GGUFWriter, config: Config) -> Iterator[tuple[str, Array]]:
    """Rotary divisors and factors; for longrope the factor of cos and sin goes into the metadata."""
    rope = rope_record(config)
    if rope["rope_type"] == "llama3":
        yield "rope_freqs.weight", llama3_divisors(rope, head_dim(config))
    if rope["rope_type"] == "longrope":
        original = config["original_max_position_embeddings"]
        stretch = config["max_position_embeddings"] / original
        writer.add_rope_scaling_attn_factors(
            math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
        )
        yield "rope_factors_long.weight", np.array(rope["long_factor"], np.float32)
        yield "rope_factors_short.weight", np.array(rope["short_factor"], np.float32)


def llama3_divisors(rope: Config, dim: int) -> Array:
    """What each frequency is divided by: nothing for short waves, the factor for long ones, blended between."""
    divisors: list[float] = []
    for pair in range(dim // 2):
        frequency = rope["rope_theta"] ** (-2 * pair / dim)
        turns = rope["original_max_position_embeddings"] * frequency / (2 * math.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        kept = min(1.0, max(0.0, (turns - low) / (high - low)))
        divisors.append(1 / (kept + (1 - kept) / rope["factor"]))
    return np.array(divisors, np.float32)


def permuted(rows: Array, heads: int) -> Array:
    """Rows of heads for adjacent-pair rotation: row j of each half-split half becomes row 2j, 2j + 1."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def modified(config: Config, tensors: Tensors) -> Iterator[tuple[str, Array]]:
    """The tensors under hub names, in the layout and with the values that GGUF files hold."""
    kind = config["model_type"]
    heads = config.get("num_attention_heads", config.get("n_head", 0))
    kv_heads = config.get("num_key_value_heads", heads)
    stacks: dict[str, dict[int, Array]] = {}
    for name, tensor in tensors.items():
        values = tensor
        stacked = re.fullmatch(r"(.*)\.(?:experts|norms)\.(\d+)(\..*)", name)
        if name.endswith((".attn.bias", ".attn.masked_bias", ".attention.bias", ".rotary_emb.inv_freq")):
            continue
        if kind == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
            values = tensor.T
        elif kind.startswith("gemma") and name.endswith("norm.weight"):
            values = tensor + np.float32(1)
        elif kind in PERMUTED and re.search(r"\.[qk]_proj\.(weight|bias)$", name):
            values = permuted(tensor, heads if ".q_proj." in name else kv_heads)
        elif kind == "gpt_neox" and ".query_key_value." in name:
            blocks = tensor.reshape(heads, 3, -1, *tensor.shape[1:])
            values = blocks.swapaxes(0, 1).reshape(tensor.shape)
        elif name.endswith(("conv.conv.weight", "conv1d.weight")):
            values = tensor.reshape(tensor.shape[0], tensor.shape[-1])
        elif name.endswith(".A_log"):
            values = -np.exp(tensor)
        if stacked:
            stacks.setdefault(stacked[1] + _merged(kind, stacked[3]), {})[int(stacked[2])] = values
        else:
            yield name, values
    for name, parts in stacks.items():
        yield name, np.stack([parts[index] for index in sorted(parts)])


def _merged(kind: str, part: str) -> str:
    """The name that the package's map knows for experts in one tensor (`.experts.w1`), and for stacked norms."""
    return f".experts{part}" if kind == "mixtral" else part
