"""Tiny random checkpoints with scaled rotary positions and with windows: a table for `../make_published.py`, used by `variants.py`."""

from typing import Any

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
    "vocab_size": 101,
}

YARN: dict[str, Any] = {"factor": 4.0, "original_max_position_embeddings": 32, "type": "yarn"}

YARN_OPTIONS: dict[str, Any] = {
    "attention_factor": 1.3,
    "beta_fast": 3.0,
    "beta_slow": 0.25,
    "factor": 8.0,
    "original_max_position_embeddings": 64,
    "rope_type": "yarn",
}

YARN_MSCALE: dict[str, Any] = {
    "beta_fast": 4.0,
    "factor": 6.0,
    "mscale": 1.5,
    "mscale_all_dim": 0.5,
    "original_max_position_embeddings": 48,
    "rope_type": "yarn",
    "truncate": False,
}

LINEAR: dict[str, Any] = {"factor": 2.0, "rope_type": "linear"}

LONGROPE: dict[str, Any] = {
    "long_factor": [1.5, 1.8, 2.2, 3.0, 4.0, 5.0, 6.0, 8.0],
    "short_factor": [1.0, 1.02, 1.05, 1.1, 1.2, 1.3, 1.6, 2.0],
    "type": "longrope",
}

LONGROPE_RECORD: dict[str, Any] = LONGROPE | {"factor": 4.0, "original_max_position_embeddings": 24}

PARTIAL_LONGROPE: dict[str, Any] = LONGROPE | {
    "long_factor": LONGROPE["long_factor"][:6],
    "short_factor": LONGROPE["short_factor"][:6],
}

PHI3: dict[str, Any] = SMALL | {
    "architectures": ["Phi3ForCausalLM"],
    "attention_bias": False,
    "hidden_act": "silu",
    "max_position_embeddings": 96,
    "model_type": "phi3",
    "rms_norm_eps": 1e-5,
}

MISTRAL: dict[str, Any] = SMALL | {
    "architectures": ["MistralForCausalLM"],
    "hidden_act": "silu",
    "model_type": "mistral",
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}

LLAMA_POSITIONS: tuple[dict[str, Any], ...] = (
    {
        "name": "yarn_rope",
        "purpose": "RoPE scaling `yarn` with its defaults: kept, blended and divided frequencies, cos and sin times 1.14",
        "prompt_length": 40,
        "config": SMALL | {"rope_scaling": YARN},
        "mistakes": (
            {"rope_scaling": None},
            {"rope_scaling": {"factor": 4.0, "rope_type": "linear"}},
            {"rope_scaling": YARN | {"attention_factor": 1.0}},
            {"rope_scaling": YARN | {"original_max_position_embeddings": 512}},
        ),
    },
    {
        "name": "yarn_options",
        "purpose": "`yarn` with an attention factor, beta_fast and beta_slow of its own; config.json of transformers 5",
        "prompt_length": 38,
        "dialect": "transformers5",
        "config": SMALL | {"rope_scaling": YARN_OPTIONS, "vocab_size": 103},
        "mistakes": (
            {"rope_scaling": {key: value for key, value in YARN_OPTIONS.items() if key != "attention_factor"}},
            {"rope_scaling": YARN_OPTIONS | {"beta_fast": 32.0}},
            {"rope_scaling": YARN_OPTIONS | {"beta_slow": 1.0}},
        ),
    },
    {
        "name": "yarn_mscale",
        "purpose": "`yarn` whose attention factor comes of mscale and mscale_all_dim, with a ramp that is not truncated",
        "prompt_length": 41,
        "config": SMALL | {"rope_scaling": YARN_MSCALE, "vocab_size": 107},
        "mistakes": (
            {"rope_scaling": YARN_MSCALE | {"truncate": True}},
            {"rope_scaling": YARN_MSCALE | {"mscale": None}},
            {"rope_scaling": YARN_MSCALE | {"mscale": 0.5, "mscale_all_dim": 1.5}},
        ),
    },
    {
        "name": "dynamic_rope",
        "purpose": "RoPE scaling `dynamic` within its 64 positions, where it changes nothing; config.json of transformers 5",
        "prompt_length": 40,
        "dialect": "transformers5",
        "config": SMALL | {"max_position_embeddings": 64, "rope_scaling": {"factor": 4.0, "rope_type": "dynamic"}},
        "mistakes": (
            {"max_position_embeddings": 24},
            {"rope_scaling": {"factor": 4.0, "rope_type": "linear"}},
        ),
    },
    {
        "name": "longrope_factor",
        "purpose": "`longrope` in a Llama, beyond the original length 24, with a `factor` that is not max / original",
        "prompt_length": 40,
        "config": SMALL | {"rope_scaling": LONGROPE_RECORD, "vocab_size": 109},
        "mistakes": (
            {"rope_scaling": LONGROPE_RECORD | {"factor": None}},
            {"rope_scaling": LONGROPE_RECORD | {"original_max_position_embeddings": 100}},
        ),
    },
)

FAMILY_POSITIONS: tuple[dict[str, Any], ...] = (
    {
        "name": "mistral_window",
        "purpose": "Mistral: window 5, linear scaling, head_dim 24 with 2 heads on hidden 32; config.json of transformers 5",
        "prompt_length": 34,
        "dialect": "transformers5",
        "config": MISTRAL | {"head_dim": 24, "rope_scaling": LINEAR, "sliding_window": 5},
        "mistakes": ({"sliding_window": 6}, {"sliding_window": 4}, {"rope_scaling": None}),
    },
    {
        "name": "mistral_long_window",
        "purpose": "Mistral: a window of 270 keys, longer than a KV block and shorter than the prompt",
        "prompt_length": 300,
        "config": MISTRAL | {"rope_theta": 1000000.0, "sliding_window": 270},
        "mistakes": ({"sliding_window": None}, {"sliding_window": 271}, {"sliding_window": 256}),
    },
    {
        "name": "gemma3_linear",
        "purpose": "Gemma 3 with linear scaling of its global layers (1 and 3 of 4), window 3 in the others",
        "prompt_length": 33,
        "config": {
            "architectures": ["Gemma3ForCausalLM"],
            "attention_bias": False,
            "attn_logit_softcapping": None,
            "final_logit_softcapping": None,
            "head_dim": 12,
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": 32,
            "intermediate_size": 48,
            "model_type": "gemma3_text",
            "num_hidden_layers": 4,
            "query_pre_attn_scalar": 16,
            "rope_local_base_freq": 10000.0,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "rope_theta": 1000000.0,
            "sliding_window": 3,
            "sliding_window_pattern": 2,
        },
        "embedding_std": 0.002,
        "mistakes": ({"rope_scaling": None}, {"rope_local_base_freq": 80000.0}, {"sliding_window": 4}),
        "min_mistake": 1e-3,
    },
    {
        "name": "phi3_crossing",
        "purpose": "Phi-3.5: longrope, decoding crosses the original length 32; window 12, untied, one key/value head per head",
        "prompt_length": 26,
        "config": PHI3
        | {
            "num_key_value_heads": 2,
            "original_max_position_embeddings": 32,
            "rope_scaling": LONGROPE,
            "sliding_window": 12,
            "tie_word_embeddings": False,
        },
        "mistakes": (
            {"rope_scaling": None},
            {"rope_scaling": LONGROPE | {"short_factor": LONGROPE["long_factor"]}},
            {"max_position_embeddings": 32},  # cos and sin without their factor
            {"sliding_window": 13},
        ),
        "late_mistakes": (
            {"rope_scaling": LONGROPE | {"long_factor": LONGROPE["short_factor"]}},
            {"original_max_position_embeddings": 64, "max_position_embeddings": 1024},
        ),
    },
    {
        "name": "phi4_mini_crossing",
        "purpose": "Phi-4-mini: the first token crosses the original length 24; three quarters rotated, tied; transformers 5",
        "prompt_length": 24,
        "dialect": "transformers5",
        "config": PHI3
        | {
            "hidden_size": 48,
            "intermediate_size": 56,
            "num_attention_heads": 3,
            "original_max_position_embeddings": 24,
            "partial_rotary_factor": 0.75,
            "rope_scaling": PARTIAL_LONGROPE,
        },
        "mistakes": (
            {"rope_scaling": PARTIAL_LONGROPE | {"short_factor": PARTIAL_LONGROPE["long_factor"]}},
            {"max_position_embeddings": 24},
        ),
        "late_mistakes": ({"rope_scaling": PARTIAL_LONGROPE | {"long_factor": PARTIAL_LONGROPE["short_factor"]}},),
    },
    {
        "name": "phi3_beyond",
        "purpose": "Phi-3.5: longrope, a prompt beyond the original length 24; all keys in sight",
        "prompt_length": 40,
        "config": PHI3 | {"original_max_position_embeddings": 24, "rope_scaling": LONGROPE, "sliding_window": 262144},
        "mistakes": (
            {"rope_scaling": LONGROPE | {"long_factor": LONGROPE["short_factor"]}},
            {"max_position_embeddings": 24},
        ),
    },
)
