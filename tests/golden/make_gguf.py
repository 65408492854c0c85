"""Writes the GGUF files of `tests/golden/gguf/` and what the published implementation computes from their weights.

Two kinds. Families whose checkpoint in `published/` has a config that GGUF metadata cannot say (another score scale,
another pattern of layers) get a checkpoint that it can, in F16. And one Llama for each quantised type: the blocks of
Q4_0 to Q8_0 and MXFP4 come from the package's quantiser, those of the K-quants, which it cannot make, are random bytes with
scales of a sensible size. The published implementation then runs on the dequantised weights.

    NAME.gguf     the file, written by `gguf_converter.py`
    NAME.npz      tokens int32 [positions], logits float32 [positions, vocab], greedy int32 [16]

The first seed is taken that passes the conditions of `make_published.py` for margin, distinct tokens and rounding.

    python tests/golden/make_gguf.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from gguf_converter import PERMUTED, Config, convert, permuted
from make_published import (
    MAX_ROUNDING,
    MAX_SEEDS,
    MIN_DISTINCT_TOKENS,
    MIN_MARGIN,
    decode_greedily,
    empty_model,
    fill,
    forward,
    random_prompt,
    rounding,
    smallest_margin,
)
from numpy.typing import NDArray
from published.variants import Variant
from transformers import PreTrainedModel

Type = gguf.GGMLQuantizationType
Blocks = NDArray[np.uint8]
Stored = dict[str, tuple[NDArray[Any], Type]]
"""By the digest of the values in stored order."""
OUT = Path(__file__).parent / "gguf"
PROMPT = 30

BASE: Config = {
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "hidden_act": "silu", "hidden_size": 64,
    "intermediate_size": 96, "max_position_embeddings": 512, "num_attention_heads": 4, "num_hidden_layers": 2,
    "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 67,
}  # fmt: skip
LLAMA = BASE | {"model_type": "llama", "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False}
WIDE = LLAMA | {  # rows of 256 for the K-quants; o and down have 32 columns and stay F16
    "hidden_size": 256, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 32,
    "num_hidden_layers": 1,
}  # fmt: skip
SMALL = BASE | {"hidden_size": 32, "intermediate_size": 48, "tie_word_embeddings": True, "rms_norm_eps": 1e-6}
GEMMA = SMALL | {
    "hidden_activation": "gelu_pytorch_tanh",
    "head_dim": 16,
    "query_pre_attn_scalar": 16,
    "sliding_window": 8,
}
FAMILIES: dict[str, Config] = {
    "gemma2": GEMMA | {
        "model_type": "gemma2", "attn_logit_softcapping": 3.0, "final_logit_softcapping": 8.0, "num_hidden_layers": 3,
    },
    "gemma3": GEMMA | {
        "model_type": "gemma3_text", "attn_logit_softcapping": None, "final_logit_softcapping": None,
        "num_hidden_layers": 7, "rope_local_base_freq": 10000.0, "rope_theta": 1e6,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "sliding_window_pattern": 6,
    },
    "smollm3": SMALL | {
        "model_type": "smollm3", "num_hidden_layers": 5, "no_rope_layer_interval": 4, "no_rope_layers": None,
        "use_sliding_window": False, "attention_bias": False, "mlp_bias": False,
    },
}  # fmt: skip
QUANTISED = (Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1, Type.Q8_0, Type.MXFP4)
K_QUANTS = {  # where the f16 factors of scales and of minima lie in a block
    Type.Q2_K: (80, 82), Type.Q3_K: (108, None), Type.Q4_K: (0, 2), Type.Q5_K: (0, 2), Type.Q6_K: (208, None),
}  # fmt: skip


def random_blocks(shape: tuple[int, int], kind: Type, std: float, generator: np.random.Generator) -> Blocks:
    """Rows of random blocks whose values have about this standard deviation and a mean near 0."""
    elements, size_bytes = gguf.GGML_QUANT_SIZES[kind]
    blocks = generator.integers(0, 256, (shape[0], shape[1] // elements, size_bytes), np.uint8)
    factor, minimum = K_QUANTS[kind]

    def with_factors(scale: float, offset: float) -> Blocks:
        sizes = generator.uniform(0.5, 1.5, (*blocks.shape[:2], 1))
        for place, size in ((factor, scale), (minimum, offset)):
            if place is not None:
                blocks[:, :, place : place + 2] = (size * sizes).astype("<f2").view(np.uint8)
        return blocks.reshape(shape[0], -1)

    products = gguf.dequantize(with_factors(1.0, 0.0), kind)
    offset = 0.0
    if minimum is not None:
        offset = float(products.mean() / -gguf.dequantize(with_factors(0.0, 1.0), kind).mean())
    scale = std / float(gguf.dequantize(with_factors(1.0, offset), kind).std())
    return with_factors(scale, scale * offset)


def heads_of(name: str, config: Config) -> int:
    """The heads whose rows the file holds permuted, 0 for other tensors."""
    if config["model_type"] not in PERMUTED:
        return 0
    if name.endswith("q_proj.weight"):
        return config["num_attention_heads"]
    return config["num_key_value_heads"] if name.endswith("k_proj.weight") else 0


def stored_order(name: str, values: NDArray[Any], config: Config) -> NDArray[Any]:
    return permuted(values, heads_of(name, config)) if heads_of(name, config) else values


def hub_order(name: str, values: NDArray[Any], config: Config) -> NDArray[Any]:
    """The inverse of `stored_order`."""
    heads = heads_of(name, config)
    if not heads:
        return values
    return values.reshape(heads, values.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)


def quantiser(kind: Type, generator: np.random.Generator) -> Callable[[NDArray[Any]], tuple[NDArray[Any], Type]]:
    """Values of a matrix in stored order -> what the file holds. K-quants only take the spread of the values."""

    def quantise(values: NDArray[Any]) -> tuple[NDArray[Any], Type]:
        if kind == Type.F16 or (kind in K_QUANTS and values.shape[1] % 256):
            return values.astype(np.float16), Type.F16
        if kind in K_QUANTS:
            return random_blocks(values.shape, kind, float(values.std()), generator), kind
        return gguf.quantize(values, kind), kind

    return quantise


def digest(values: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def make_weights(model: PreTrainedModel, config: Config, kind: Type, seed: int) -> Stored:
    """Sets the model's matrices to values that the type can hold; returns what the file holds, by these values."""
    quantise = quantiser(kind, np.random.default_rng(seed))
    stored: Stored = {}
    for name, parameter in model.named_parameters():
        if parameter.ndim != 2:
            continue
        ordered = stored_order(name, parameter.numpy(), config)
        data, data_type = quantise(ordered)
        exact = gguf.dequantize(data, data_type).reshape(ordered.shape)
        stored[digest(exact)] = (data, data_type)
        parameter.copy_(torch.from_numpy(np.array(hub_order(name, exact, config))))
    return stored


def usable(config: Config, model: PreTrainedModel, prompt: torch.Tensor) -> dict[str, float] | None:
    greedy, rows = decode_greedily(model, prompt)
    margin = smallest_margin(rows)
    if margin < MIN_MARGIN or len(set(greedy.tolist())) < MIN_DISTINCT_TOKENS or config["eos_token_id"] in greedy:
        return None
    error = rounding(config, model, torch.cat([prompt, greedy]))
    return {"margin": margin, "rounding": error, "spread": float(rows.std())} if error <= MAX_ROUNDING else None


def make(name: str, config: Config, kind: Type) -> str:
    """Writes one file and its vectors; returns its row of README.md."""
    small = 0.002 if config["model_type"].startswith("gemma") else 0.04
    variant = Variant(name, "", PROMPT, config, embedding_std=small)
    for seed in range(MAX_SEEDS):
        generator = torch.Generator().manual_seed(seed)
        model = empty_model(config)
        fill(model, variant, generator)
        stored = make_weights(model, config, kind, seed)
        prompt = random_prompt(PROMPT, config["vocab_size"], generator)
        figures = usable(config, model, prompt)
        if figures is not None:
            break
    else:
        raise SystemExit(f"{name}: no usable seed below {MAX_SEEDS}")
    tied = config["tie_word_embeddings"]
    tensors = {
        key: value.numpy() for key, value in model.state_dict().items() if not (tied and key == "lm_head.weight")
    }
    convert(config, tensors, OUT / f"{name}.gguf", lambda _name, values: stored[digest(values)])
    greedy, _rows = decode_greedily(model, prompt)
    np.savez(
        OUT / f"{name}.npz",
        tokens=prompt.numpy().astype(np.int32),
        logits=forward(model, prompt).numpy(),
        greedy=greedy.numpy().astype(np.int32),
    )
    size_kib = (OUT / f"{name}.gguf").stat().st_size / 1024
    numbers = f"{figures['spread']:.1f} | {figures['margin']:.3f} | {figures['rounding']:.1e}"
    return f"| `{name}` | {config['model_type']} | {kind.name} | {size_kib:.0f} | {seed} | {numbers} |"


def readme(rows: list[str]) -> str:
    table = "\n".join(rows)
    return f"""# GGUF files and what the published implementation computes from their weights

Written by `tests/golden/make_gguf.py`; do not edit anything here by hand. Made with transformers
{transformers.__version__}, torch {torch.__version__} and gguf 0.19.0: float32, eager attention, one thread, no KV cache.
The columns are explained in `../published/README.md`.

| file | family | matrices | KiB | seed | spread | margin | rounding |
|---|---|---|---|---|---|---|---|
{table}
"""


def main() -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    OUT.mkdir(exist_ok=True)
    rows: list[str] = []
    with torch.no_grad():
        for name, config in FAMILIES.items():
            rows.append(make(name, config, Type.F16))
            print(rows[-1], flush=True)
        for kind in (*QUANTISED, *K_QUANTS):
            rows.append(make(f"llama_{kind.name.lower()}", WIDE if kind in K_QUANTS else LLAMA, kind))
            print(rows[-1], flush=True)
    (OUT / "README.md").write_text(readme(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
