"""The tiny random checkpoints of this directory: a table for `../make_published.py`.

The Llama variants stand here, one or more of each other family in `families.py` and `layer_norm_families.py`; scaled rotary
positions and windows in `positions.py`, mixtures of experts in
`mixtures.py`, convolutions and scans in `recurrent.py`.
"""

from dataclasses import dataclass, field
from typing import Any

from published.families import FAMILIES, FAMILY_BASE
from published.layer_norm_families import LAYER_NORM_BASE, LAYER_NORM_FAMILIES
from published.mixtures import MIXTURES
from published.positions import FAMILY_POSITIONS, LLAMA_POSITIONS
from published.recurrent import RECURRENT

Config = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """One checkpoint.

    `config` holds hub-style fields laid over `base`; None as the value of `num_key_value_heads` or
    `head_dim` leaves the field out of config.json. `dialect` is "hub" or "transformers5": how config.json is
    written. `mistakes` are wrong readings of this config, each as fields laid over the right ones, that the
    vectors must show, each by a logit that moves at least `min_mistake`: one of the prompt's, or for `late_mistakes`
    one of the prompt and the greedy tokens.
    """

    name: str
    purpose: str
    prompt_length: int
    config: Config
    embedding_std: float = 0.04
    gain: float = 1.0  # of all matrices; more makes the tokens matter beside positions that hardly change
    dialect: str = "hub"
    max_shard_size: str = "100MB"
    mistakes: tuple[Config, ...] = ()
    late_mistakes: tuple[Config, ...] = ()
    base: Config = field(default_factory=lambda: BASE_CONFIG)
    min_mistake: float = 2e-2  # a hundred times the tolerance of the tests, 2e-4
    shows_eps: bool = True  # of layer norms; a model with norms behind its blocks normalises nothing small


BASE_CONFIG: Config = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": None,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 96,
    "max_position_embeddings": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-5,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.45.0",
    "use_cache": True,
    "vocab_size": 151,
}

LLAMA3_SCALING: Config = {
    "factor": 8.0,
    "high_freq_factor": 4.0,
    "low_freq_factor": 1.0,
    "original_max_position_embeddings": 32,
    "rope_type": "llama3",
}

LLAMA_VARIANTS = (
    Variant(
        "gqa",
        "grouped queries: 8 heads, 2 key/value heads",
        40,
        {"num_attention_heads": 8, "vocab_size": 181},
    ),
    Variant(
        "mha",
        "one key/value head per head; `num_key_value_heads` is absent from config.json",
        24,
        {"num_key_value_heads": None, "vocab_size": 133},
    ),
    Variant(
        "mqa",
        "one key/value head for all heads",
        33,
        {"intermediate_size": 112, "num_key_value_heads": 1, "vocab_size": 137},
    ),
    Variant(
        "tied",
        "output matrix = embedding, `lm_head` absent from the file; 3 layers, the largest vocabulary",
        29,
        {"num_hidden_layers": 3, "tie_word_embeddings": True, "vocab_size": 301},
    ),
    Variant(
        "untied",
        "output matrix of its own; RoPE base 500000",
        36,
        {"rope_theta": 500000.0},
    ),
    Variant(
        "head_dim",
        "head_dim 24 with 4 heads on hidden 64: q_proj and o_proj are not square",
        31,
        {"head_dim": 24, "tie_word_embeddings": True, "vocab_size": 149},
    ),
    Variant(
        "llama3_rope",
        "RoPE scaling `llama3`, original length 32: kept, blended and divided frequencies all occur",
        40,
        {"rope_scaling": LLAMA3_SCALING, "tie_word_embeddings": True},
        mistakes=(
            {"rope_scaling": None},
            {"rope_scaling": {"rope_type": "linear", "factor": 8.0}},
            {"rope_scaling": LLAMA3_SCALING | {"original_max_position_embeddings": 512}},
        ),
    ),
    Variant(
        "linear_rope",
        "RoPE scaling `linear` by 2, under the old key `type`",
        39,
        {
            "rope_scaling": {"factor": 2.0, "type": "linear"},
            "tie_word_embeddings": True,
            "vocab_size": 167,
        },
        mistakes=({"rope_scaling": None},),
    ),
    Variant(
        "biases",
        "`attention_bias` and `mlp_bias`: random biases on q, k, v, o, gate, up and down",
        26,
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True, "vocab_size": 163},
        mistakes=({"attention_bias": False}, {"mlp_bias": False}),
    ),
    Variant(
        "small_eps",
        "`rms_norm_eps` 1e-6 and embeddings of about 0.003, whose mean square is about 1e-5",
        25,
        {"rms_norm_eps": 1e-6, "vocab_size": 139},
        embedding_std=0.003,
        mistakes=({"rms_norm_eps": 0.0},),
    ),
    Variant(
        "sharded",
        "several safetensors files under `model.safetensors.index.json`",
        30,
        {"vocab_size": 191},
        max_shard_size="100KB",
    ),
    Variant(
        "bf16",
        "bf16 weights in the file, logits in float32 from these values; the widest model, hidden 128",
        44,
        {"hidden_size": 128, "torch_dtype": "bfloat16", "vocab_size": 157},
    ),
    Variant(
        "transformers5",
        "config.json as transformers 5 writes it (`rope_parameters`, `dtype`); RoPE base 50000",
        28,
        {"rope_theta": 50000.0, "tie_word_embeddings": True, "vocab_size": 193},
        dialect="transformers5",
        mistakes=({"rope_theta": 10000.0},),
    ),
    Variant(
        "transformers5_llama3",
        "config.json as transformers 5 writes it; `llama3` scaling, head_dim 32, RoPE base 500000, bf16 file",
        45,
        {
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_scaling": LLAMA3_SCALING,
            "rope_theta": 500000.0,
            "torch_dtype": "bfloat16",
            "vocab_size": 223,
        },
        dialect="transformers5",
        mistakes=({"rope_scaling": None}, {"rope_theta": 10000.0}),
    ),
    Variant(
        "odd_sizes",
        "hidden 72, FFN 100, vocabulary 131, 9 heads of 8 with 3 key/value heads",
        37,
        {
            "hidden_size": 72,
            "intermediate_size": 100,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "vocab_size": 131,
        },
    ),
    Variant(
        "long_prompt",
        "a prompt of 300 tokens, past 256 keys; grouped queries, tied",
        300,
        {"tie_word_embeddings": True, "vocab_size": 131},
    ),
)

VARIANTS = (
    *LLAMA_VARIANTS,
    *(Variant(**row) for row in LLAMA_POSITIONS),
    *(Variant(base=FAMILY_BASE, **row) for row in FAMILIES + FAMILY_POSITIONS + MIXTURES),
    *(Variant(base=LAYER_NORM_BASE, **row) for row in LAYER_NORM_FAMILIES),
    *(Variant(**row) for row in RECURRENT),
)


def hub_config(variant: Variant) -> Config:
    """The fields of config.json in the dialect of hub files, without the fields left out."""
    fields = variant.base | variant.config
    may_be_absent = ("head_dim", "num_key_value_heads")
    return {key: value for key, value in fields.items() if value is not None or key not in may_be_absent}
