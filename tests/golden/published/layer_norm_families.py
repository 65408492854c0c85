"""Tiny random checkpoints of the families with layer norm: a table for `../make_published.py`, used by `variants.py`."""

from typing import Any

Config = dict[str, Any]

# Fields of config.json that all of these have; `variants.py` lays them under the fields of a row.
LAYER_NORM_BASE: Config = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "float32",
    "transformers_version": "4.45.0",
    "use_cache": True,
}

PHI: Config = {
    "architectures": ["PhiForCausalLM"],
    "hidden_act": "gelu_new",
    "hidden_size": 48,
    "intermediate_size": 72,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 512,
    "model_type": "phi",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": None,
    "partial_rotary_factor": 0.5,
    "qk_layernorm": False,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "vocab_size": 103,
}

STABLELM: Config = {
    "architectures": ["StableLmForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 64,
    "intermediate_size": 72,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 512,
    "model_type": "stablelm",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 4,
    "partial_rotary_factor": 0.25,
    "qk_layernorm": False,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "use_parallel_residual": False,
    "use_qkv_bias": True,
    "vocab_size": 107,
}

GPT_NEOX: Config = {
    "architectures": ["GPTNeoXForCausalLM"],
    "hidden_act": "gelu",
    "hidden_size": 64,
    "intermediate_size": 96,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 512,
    "model_type": "gpt_neox",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.25,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "vocab_size": 109,
}

OPT: Config = {
    "_remove_final_layer_norm": False,
    "activation_function": "relu",
    "architectures": ["OPTForCausalLM"],
    "do_layer_norm_before": True,
    "dropout": 0.1,
    "enable_bias": True,
    "ffn_dim": 80,
    "hidden_size": 48,
    "init_std": 0.02,
    "layer_norm_elementwise_affine": True,
    "layerdrop": 0.0,
    "max_position_embeddings": 512,
    "model_type": "opt",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 1,
    "prefix": "</s>",
    "tie_word_embeddings": True,
    "vocab_size": 101,
    "word_embed_proj_dim": 48,
}

GPT2: Config = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "layer_norm_epsilon": 1e-5,
    "model_type": "gpt2",
    "n_ctx": 512,
    "n_embd": 48,
    "n_head": 4,
    "n_inner": None,
    "n_layer": 2,
    "n_positions": 512,
    "summary_type": "cls_index",
    "vocab_size": 113,
}

KOSMOS2_TEXT: Config = {
    "activation_function": "gelu",
    "add_cross_attention": False,
    "attention_heads": 4,
    "bos_token_id": 1,
    "embed_dim": 48,
    "eos_token_id": 2,
    "ffn_dim": 72,
    "layer_norm_eps": 1e-3,  # a small one would not show: the positions are not small
    "layers": 2,
    "max_position_embeddings": 512,
    "model_type": "kosmos_2_text_model",
    "pad_token_id": 3,
    "scale_embedding": True,
    "vocab_size": 127,
}

KOSMOS2: Config = {
    "architectures": ["Kosmos2ForConditionalGeneration"],
    "latent_query_num": 4,
    "model_type": "kosmos-2",
    "text_config": KOSMOS2_TEXT,
    "tie_word_embeddings": True,
    "vision_config": {
        "hidden_act": "quick_gelu",
        "hidden_size": 16,
        "image_size": 8,
        "intermediate_size": 24,
        "layer_norm_eps": 1e-5,
        "model_type": "kosmos_2_vision_model",
        "num_attention_heads": 2,
        "num_channels": 3,
        "num_hidden_layers": 1,
        "patch_size": 4,
    },
}

GELU_MISTAKE = 1e-3  # the erf and the tanh form of GELU are that near to each other

LAYER_NORM_FAMILIES: tuple[dict[str, Any], ...] = (
    {
        "name": "phi",
        "purpose": "Phi 1.5: attention and MLP in parallel, biases everywhere, half of each head rotated",
        "prompt_length": 31,
        "config": PHI,
        "embedding_std": 0.004,
        "mistakes": ({"partial_rotary_factor": 1.0},),
        "min_mistake": GELU_MISTAKE,
    },
    {
        "name": "phi_qk_norm",
        "purpose": "Phi with q and k layer norms, grouped queries, ReLU and its own eps; config of transformers 5",
        "prompt_length": 28,
        "config": PHI
        | {
            "hidden_act": "relu",
            "layer_norm_eps": 1e-6,
            "num_key_value_heads": 2,
            "partial_rotary_factor": 0.34,
            "qk_layernorm": True,
            "rope_theta": 50000.0,
        },
        "embedding_std": 0.004,
        "dialect": "transformers5",
        "mistakes": ({"partial_rotary_factor": 0.5}, {"qk_layernorm": False}, {"rope_theta": 10000.0}),
    },
    {
        "name": "stablelm",
        "purpose": "StableLM 2: biases on q, k and v only, a quarter of each head rotated, one after the other",
        "prompt_length": 30,
        "config": STABLELM,
        "embedding_std": 0.004,
        "mistakes": (
            {"use_qkv_bias": False},
            {"partial_rotary_factor": 0.5},
            {"use_parallel_residual": True},
        ),
    },
    {
        "name": "stablelm_parallel",
        "purpose": "StableLM with a layer norm of its own for each head, in parallel, grouped queries, no biases; tied",
        "prompt_length": 33,
        "config": STABLELM
        | {
            "num_key_value_heads": 2,
            "partial_rotary_factor": 0.5,
            "qk_layernorm": True,
            "tie_word_embeddings": True,
            "use_parallel_residual": True,
            "use_qkv_bias": False,
        },
        "embedding_std": 0.004,
        "mistakes": ({"qk_layernorm": False}, {"partial_rotary_factor": 0.25}),
    },
    {
        "name": "gpt_neox",
        "purpose": "GPT-NeoX, Dolly: q, k and v interleaved per head, two norms in parallel, erf GELU",
        "prompt_length": 32,
        "config": GPT_NEOX,
        "embedding_std": 0.004,
        "mistakes": ({"rotary_pct": 0.5}, {"use_parallel_residual": False}, {"rotary_emb_base": 20000}),
        "min_mistake": GELU_MISTAKE,
    },
    {
        "name": "gpt_neox_sequential",
        "purpose": "GPT-NeoX one after the other, no biases in attention, whole heads rotated, tanh GELU; tied",
        "prompt_length": 27,
        "config": GPT_NEOX
        | {
            "attention_bias": False,
            "hidden_act": "gelu_fast",
            "rotary_pct": 1.0,
            "tie_word_embeddings": True,
            "use_parallel_residual": False,
        },
        "embedding_std": 0.004,
        "mistakes": ({"rotary_pct": 0.25}, {"use_parallel_residual": True}),
        "min_mistake": GELU_MISTAKE,
    },
    {
        "name": "opt",
        "purpose": "OPT: learned positions from row 2 on, ReLU, biases everywhere",
        "prompt_length": 29,
        "config": OPT,
        "embedding_std": 0.01,
        "mistakes": ({"do_layer_norm_before": False},),
    },
    {
        "name": "opt_350m",
        "purpose": "OPT 350m: norms behind each block, embeddings of width 20 projected to 48 and back",
        "prompt_length": 34,
        "config": OPT | {"do_layer_norm_before": False, "word_embed_proj_dim": 20},
        "embedding_std": 0.3,
        "mistakes": ({"activation_function": "silu"},),
        "shows_eps": False,
    },
    {
        "name": "opt_no_bias",
        "purpose": "OPT as Galactica sets it: no biases, erf GELU; and no norm before the output",
        "prompt_length": 26,
        "config": OPT | {"_remove_final_layer_norm": True, "activation_function": "gelu", "enable_bias": False},
        "embedding_std": 0.3,
        "mistakes": ({"activation_function": "relu"},),
        "min_mistake": GELU_MISTAKE,
    },
    {
        "name": "gpt2",
        "purpose": "GPT-2: matrices stored [in, out], fused q, k, v; n_inner null is 4 d",
        "prompt_length": 30,
        "config": GPT2,
        "embedding_std": 0.01,
        "mistakes": ({"scale_attn_weights": False},),
        "min_mistake": GELU_MISTAKE,
    },
    {
        "name": "gpt2_scaled",
        "purpose": "GPT-2 with scores divided by the number of the layer, 3 layers, its own FFN size, ReLU; bf16 file",
        "prompt_length": 28,
        "config": GPT2
        | {
            "activation_function": "relu",
            "layer_norm_epsilon": 1e-6,
            "n_inner": 72,
            "n_layer": 3,
            "scale_attn_by_inverse_layer_idx": True,
            "torch_dtype": "bfloat16",
        },
        "embedding_std": 0.01,
        "dialect": "transformers5",
        "mistakes": ({"scale_attn_by_inverse_layer_idx": False},),
    },
    {
        "name": "kosmos2",
        "purpose": "KOSMOS-2 without an image: sinusoidal positions from 4 on, norms inside of attention and MLP, scaled embedding",
        "prompt_length": 33,
        "config": KOSMOS2,
        "embedding_std": 0.03,
        "gain": 2.5,
        "mistakes": (
            {"text_config": KOSMOS2_TEXT | {"scale_embedding": False}},
            {"text_config": KOSMOS2_TEXT | {"pad_token_id": 1}},
        ),
        "min_mistake": GELU_MISTAKE,
    },
)
