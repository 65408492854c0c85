"""Tiny random checkpoints of families with convolutions and scans: a table for `../make_published.py`, used by `variants.py`."""

from typing import Any

_SHARED: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "pad_token_id": 0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "transformers_version": "4.45.0",
    "use_cache": True,
    "vocab_size": 101,
}

LFM2: dict[str, Any] = _SHARED | {
    "architectures": ["Lfm2ForCausalLM"],
    "block_auto_adjust_ff_dim": True,
    "block_ff_dim": 70,  # 46, rounded up to 48
    "block_ffn_dim_multiplier": 1.0,
    "block_multiple_of": 16,
    "bos_token_id": 1,
    "conv_L_cache": 3,
    "conv_bias": False,
    "eos_token_id": 2,
    "full_attn_idxs": [1],
    "max_position_embeddings": 512,
    "model_type": "lfm2",
    "norm_eps": 1e-5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rope_theta": 1000000.0,
}

MAMBA: dict[str, Any] = _SHARED | {
    "architectures": ["MambaForCausalLM"],
    "bos_token_id": 0,
    "conv_kernel": 4,
    "eos_token_id": 0,
    "expand": 2,
    "hidden_act": "silu",
    "intermediate_size": 64,
    "layer_norm_epsilon": 1e-5,
    "model_type": "mamba",
    "residual_in_fp32": True,
    "state_size": 16,
    "time_step_rank": 2,
    "use_bias": False,
    "use_conv_bias": True,
}

RECURRENT: tuple[dict[str, Any], ...] = (
    {
        "name": "lfm2",
        "purpose": "LFM2: convolutions of 3 taps, attention in layer 1 of 3 (`full_attn_idxs`), FFN width derived",
        "prompt_length": 30,
        "base": LFM2,
        "config": {},
    },
    {
        "name": "lfm2_biases",
        "purpose": "LFM2 as transformers 5 writes it (`layer_types`): 4 taps, biases, FFN width as stated; untied",
        "prompt_length": 27,
        "dialect": "transformers5",
        "base": LFM2,
        "config": {
            "block_auto_adjust_ff_dim": False,
            "block_ff_dim": 44,
            "conv_L_cache": 4,
            "conv_bias": True,
            "full_attn_idxs": [0, 3],
            "hidden_size": 24,
            "num_hidden_layers": 4,
            "tie_word_embeddings": False,
            "vocab_size": 97,
        },
        "mistakes": ({"conv_bias": False},),
    },
    {
        "name": "mamba",
        "purpose": "Mamba: 4 taps with biases, 16 state entries",
        "prompt_length": 33,
        "base": MAMBA,
        "config": {},
        "mistakes": ({"use_conv_bias": False}, {"layer_norm_epsilon": 1e-6}),
    },
    {
        "name": "mamba_biases",
        "purpose": "Mamba as transformers 5 writes it: 3 taps without biases, 37 state entries, biased projections; untied",
        "prompt_length": 29,
        "dialect": "transformers5",
        "base": MAMBA,
        "config": {
            "conv_kernel": 3,
            "hidden_size": 28,
            "intermediate_size": 56,
            "num_hidden_layers": 2,
            "state_size": 37,
            "tie_word_embeddings": False,
            "time_step_rank": 5,
            "use_bias": True,
            "use_conv_bias": False,
            "vocab_size": 103,
        },
        "mistakes": ({"use_bias": False}, {"layer_norm_epsilon": 1e-6}),
    },
)
