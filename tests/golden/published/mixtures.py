"""Tiny random checkpoints with mixtures of experts: a table for `../make_published.py`, used by `variants.py`."""

from typing import Any

MIXTRAL: dict[str, Any] = {
    "architectures": ["MixtralForCausalLM"],
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 32,
    "intermediate_size": 40,
    "model_type": "mixtral",
    "output_router_logits": False,
    "rms_norm_eps": 1e-5,
    "router_aux_loss_coef": 0.02,
    "sliding_window": None,
    "tie_word_embeddings": False,
}

MIXTURES: tuple[dict[str, Any], ...] = (
    {
        "name": "mixtral",
        "purpose": "Mixtral: two of 4 experts for each token; untied",
        "prompt_length": 31,
        "config": MIXTRAL | {"num_experts_per_tok": 2, "num_local_experts": 4, "vocab_size": 103},
        "mistakes": ({"num_experts_per_tok": 1}, {"num_experts_per_tok": 3}),
    },
    {
        "name": "mixtral_window",
        "purpose": "Mixtral: two of 8 experts, window 8, tied, bf16 file; head_dim 12 with 4 heads on hidden 32",
        "prompt_length": 37,
        "config": MIXTRAL
        | {
            "head_dim": 12,
            "intermediate_size": 24,
            "num_experts_per_tok": 2,
            "num_local_experts": 8,
            "sliding_window": 8,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
        },
        "mistakes": (
            {"num_experts_per_tok": 1},
            {"num_experts_per_tok": 3},
            {"sliding_window": 9},
            {"sliding_window": None},
        ),
    },
    {
        "name": "mixtral_top1",
        "purpose": "Mixtral: one of 5 experts, so that every weight is 1; config.json as transformers 5 writes it",
        "prompt_length": 29,
        "config": MIXTRAL
        | {
            "intermediate_size": 24,
            "num_experts_per_tok": 1,
            "num_local_experts": 5,
            "rope_theta": 50000.0,
        },
        "dialect": "transformers5",
        "mistakes": ({"num_experts_per_tok": 2}, {"rope_theta": 10000.0}),
    },
)
